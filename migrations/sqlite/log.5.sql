-- Version 5 of the embedded log. Nothing changes in it: a program of version 4 does not know `ZoneTableChanged`, would
-- decide by clocks of its own, and would take a transaction's date for an instant.
PRAGMA user_version = 5;
