-- How far each step has come, and its items that are not done. A cursor passes an item once it stands in `items`.
-- Losing the file costs time, never money: the log is read again from the beginning.
CREATE TABLE IF NOT EXISTS checkpoints (
    step TEXT PRIMARY KEY, position INTEGER NOT NULL CHECK (position >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS items (
    id       TEXT    PRIMARY KEY CHECK (id <> ''),
    step     TEXT    NOT NULL,
    position INTEGER NOT NULL CHECK (position > 0),
    account  TEXT    NOT NULL,
    key      TEXT    NOT NULL,
    state    TEXT    NOT NULL CHECK (state IN ('waiting', 'parked')),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    next_at  INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    wakes    TEXT    NOT NULL,
    about    INTEGER,
    act      TEXT,
    proposed TEXT,
    decided  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS items_due ON items (step, state, next_at, position);
CREATE INDEX IF NOT EXISTS items_parked ON items (id) WHERE state = 'parked';
-- What one page of the log says of one day's draws: their ids, sorted, and sums.
CREATE TABLE IF NOT EXISTS tallies (
    campaign   TEXT    NOT NULL,
    epoch      TEXT    NOT NULL,
    position   INTEGER NOT NULL CHECK (position > 0),
    entries    BLOB    NOT NULL CHECK (length(entries) % 32 = 0),
    wins       TEXT    NOT NULL,
    paid_minor INTEGER NOT NULL CHECK (paid_minor >= 0),
    PRIMARY KEY (campaign, epoch, position)
) STRICT;
