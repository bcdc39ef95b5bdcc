-- Keys, in a file of their own: backed up apart from the log, so that a destroyed key stays destroyed.
-- Every key is wrapped by the key provider and worthless without it.

CREATE TABLE account_keys (
    account_id TEXT PRIMARY KEY,
    wrapped    BLOB NOT NULL,
    created_at INTEGER NOT NULL, -- microseconds since 1970
    erased_at  INTEGER,          -- set: the key is gone for ever, the row is its tombstone
    CHECK ((erased_at IS NULL) = (length(wrapped) > 0))
) STRICT, WITHOUT ROWID;

CREATE TABLE named_keys (
    name    TEXT PRIMARY KEY,
    wrapped BLOB NOT NULL CHECK (length(wrapped) > 0)
) STRICT, WITHOUT ROWID;

-- A tombstone is final, and no row is forgotten.
CREATE TRIGGER account_keys_erased_for_ever BEFORE UPDATE ON account_keys
WHEN old.erased_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an erased key stays erased'); END;

CREATE TRIGGER account_keys_keep_rows BEFORE DELETE ON account_keys
BEGIN SELECT RAISE(ABORT, 'key rows are not deleted'); END;

PRAGMA user_version = 1;
