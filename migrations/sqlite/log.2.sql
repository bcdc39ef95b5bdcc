-- Version 2 of the embedded log. Expands: a program of version 1 would not miss it.
PRAGMA user_version = 2;

-- States of long streams, so that hydration need not read all their events. May be emptied at any time.
CREATE TABLE snapshots (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL CHECK (sequence >= 1),       -- of the last event in the state
    hash           BLOB    NOT NULL CHECK (length(hash) = 32),   -- of that event
    code           TEXT    NOT NULL,                             -- fingerprint of the code that made it
    state          BLOB    NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
) STRICT, WITHOUT ROWID;
