-- Version 4 of the embedded log: which ledger it is. Made once; all other files carry the id.
PRAGMA user_version = 4;

CREATE TABLE ledger (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    id      TEXT    NOT NULL CHECK (length(id) = 32),
    made_at INTEGER NOT NULL                                     -- microseconds since 1970 UTC
) STRICT;

INSERT INTO ledger (one, id, made_at) VALUES (1, lower(hex(randomblob(16))), unixepoch() * 1000000);

-- What our own keys are recognised by. Without them no repeat is recognised and no seed opens, so others are refused.
-- A later key is a row more.
CREATE TABLE key_fingerprints (
    name        TEXT    NOT NULL PRIMARY KEY CHECK (name <> ''),
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 16),
    position    INTEGER NOT NULL CHECK (position >= 0)           -- where the log stood when it was noted
) STRICT, WITHOUT ROWID;

CREATE TRIGGER ledger_is_never_changed BEFORE UPDATE ON ledger
BEGIN SELECT RAISE(ABORT, 'a ledger keeps its id'); END;

CREATE TRIGGER ledger_is_never_removed BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'a ledger keeps its id'); END;

CREATE TRIGGER key_fingerprints_are_never_changed BEFORE UPDATE ON key_fingerprints
BEGIN SELECT RAISE(ABORT, 'fingerprints of keys are never changed'); END;

CREATE TRIGGER key_fingerprints_are_never_removed BEFORE DELETE ON key_fingerprints
BEGIN SELECT RAISE(ABORT, 'fingerprints of keys are never removed'); END;
