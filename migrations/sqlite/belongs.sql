-- In every file but the log's own: which ledger it belongs to, and how far it knows the log to have come.
CREATE TABLE IF NOT EXISTS belongs (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    ledger   TEXT    NOT NULL CHECK (length(ledger) = 32),
    position INTEGER NOT NULL CHECK (position >= 0)
) STRICT;
