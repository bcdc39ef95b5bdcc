-- Nothing changes: a program before this does not know `ZoneTableChanged`, would decide by clocks of its own, and would
-- take a transaction's date for an instant.
SELECT 1;
