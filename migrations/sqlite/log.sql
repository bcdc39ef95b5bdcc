-- The embedded event log, version 1: one file, append-only, one writer at a time.
PRAGMA application_id = 0x52574c47; -- 'RWLG'
PRAGMA user_version = 1;

-- One row for each fact. The first seven columns are postgres-es's own.
CREATE TABLE events (
    position        INTEGER PRIMARY KEY CHECK (position >= 1),   -- gapless; the rowid, so the table is the order
    "partition"     INTEGER NOT NULL DEFAULT 0 CHECK ("partition" = 0),
    aggregate_type  TEXT    NOT NULL CHECK (aggregate_type IN ('account', 'campaign', 'system')),
    aggregate_id    TEXT    NOT NULL CHECK (aggregate_id <> ''),
    sequence        INTEGER NOT NULL CHECK (sequence >= 1),
    event_type      TEXT    NOT NULL CHECK (event_type <> ''),
    event_version   TEXT    NOT NULL CHECK (event_version <> ''),
    payload         TEXT    NOT NULL,                            -- JSON
    metadata        TEXT    NOT NULL,                            -- JSON: a flat map of strings
    recorded_at     INTEGER NOT NULL,                            -- microseconds since 1970 UTC
    transaction_key BLOB    CHECK (length(transaction_key) = 16),
    hash            BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE UNIQUE INDEX events_stream ON events (aggregate_type, aggregate_id, sequence);
CREATE UNIQUE INDEX events_transaction_key ON events (transaction_key) WHERE transaction_key IS NOT NULL;

CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never changed');
END;

CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
BEGIN
    SELECT RAISE(ABORT, 'events are never removed');
END;

-- Where the log stands and who may write. An append is a compare-and-set on epoch and position.
CREATE TABLE head (
    "partition" INTEGER PRIMARY KEY CHECK ("partition" = 0),
    epoch       INTEGER NOT NULL CHECK (epoch >= 0),
    position    INTEGER NOT NULL CHECK (position >= 0),
    recorded_at INTEGER,                                         -- the last event's; NULL when empty
    holder      TEXT    NOT NULL                                 -- the writer's name, for people
) STRICT;

INSERT INTO head ("partition", epoch, position, recorded_at, holder) VALUES (0, 0, 0, NULL, '');

CREATE TRIGGER head_is_never_removed BEFORE DELETE ON head
BEGIN
    SELECT RAISE(ABORT, 'the head is never removed');
END;
