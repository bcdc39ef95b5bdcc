-- The read models, one file: `read.db`. All of it can be rebuilt from the log.
--
-- Money is integer minor units beside its currency; times are microseconds since 1970 UTC; hashes are bytes.
-- STRICT refuses the REAL that an overflowing sum would become. A table's key columns come first and in key
-- order: rebuild walks tables by them.

CREATE TABLE checkpoints (
    projection TEXT    NOT NULL PRIMARY KEY,
    position   INTEGER NOT NULL CHECK (position >= 0)
) STRICT, WITHOUT ROWID;

-- account ------------------------------------------------------------------------------------------------

CREATE TABLE accounts (
    account_id  TEXT NOT NULL PRIMARY KEY,
    enrolled_at INTEGER,
    closed_at   INTEGER,
    excluded_at INTEGER,
    erased_at   INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE balances (
    account_id     TEXT    NOT NULL,
    currency       TEXT    NOT NULL,
    won_minor      INTEGER NOT NULL CHECK (won_minor >= 0),
    issued_minor   INTEGER NOT NULL CHECK (issued_minor >= 0),
    credited_minor INTEGER NOT NULL CHECK (credited_minor >= 0),
    reversed_minor INTEGER NOT NULL CHECK (reversed_minor >= 0),
    PRIMARY KEY (account_id, currency)
) STRICT, WITHOUT ROWID;

-- rewards ------------------------------------------------------------------------------------------------

CREATE TABLE rewards (
    position         INTEGER NOT NULL,
    ordinal          INTEGER NOT NULL,
    entry_id         BLOB    NOT NULL UNIQUE CHECK (length(entry_id) = 32),
    account_id       TEXT    NOT NULL,
    campaign_id      TEXT    NOT NULL,
    source           TEXT    NOT NULL,
    transaction_id   TEXT    NOT NULL,
    amount_minor     INTEGER NOT NULL CHECK (amount_minor >= 0),
    currency         TEXT    NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('won', 'issued', 'credited', 'reversed', 'credit_failed')),
    won_at           INTEGER NOT NULL,
    issued_at        INTEGER,
    notified_at      INTEGER,
    attempt          INTEGER NOT NULL DEFAULT 0,
    credited_at      INTEGER,
    payout_reference TEXT,
    failed_at        INTEGER,
    failure          TEXT,
    reversed_at      INTEGER,
    reversal_reason  TEXT,
    PRIMARY KEY (position, ordinal)
) STRICT, WITHOUT ROWID;

CREATE INDEX rewards_by_account ON rewards (account_id, position, ordinal);

-- transactions -------------------------------------------------------------------------------------------

-- `position` is the rowid: new lines are appended, however random the bank's ids are.
CREATE TABLE transactions (
    position               INTEGER NOT NULL PRIMARY KEY,
    source                 TEXT    NOT NULL,
    transaction_id         TEXT    NOT NULL,
    account_id             TEXT    NOT NULL,
    status                 TEXT    NOT NULL CHECK (status IN ('pending', 'booked', 'deferred', 'held', 'removed')),
    booked_at              INTEGER NOT NULL,
    recorded_at            INTEGER NOT NULL,
    details                TEXT,
    pending_transaction_id TEXT,
    outcome                TEXT    CHECK (outcome IN ('declined', 'lost', 'won')),
    defer_reason           TEXT,
    considered             TEXT,
    draws                  TEXT,
    removed_at             INTEGER,
    verdict                TEXT    CHECK (verdict IN ('released', 'dismissed')),
    proposal               TEXT,
    UNIQUE (source, transaction_id)
) STRICT;

-- The rowid is the last column of every index, so this one also gives an account's lines in order.
CREATE INDEX transactions_by_account ON transactions (account_id);

-- The few lines that wait for people, whoever's they are.
CREATE INDEX transactions_held ON transactions (position) WHERE status = 'held';

-- Other names of a line: its id while pending, or one its bank gave it later.
CREATE TABLE transaction_aliases (
    source         TEXT NOT NULL,
    transaction_id TEXT NOT NULL,
    booked_as      TEXT NOT NULL,
    PRIMARY KEY (source, transaction_id)
) STRICT, WITHOUT ROWID;

-- campaigns ----------------------------------------------------------------------------------------------

CREATE TABLE campaigns (
    campaign_id    TEXT    NOT NULL PRIMARY KEY,
    position       INTEGER NOT NULL UNIQUE,
    version        INTEGER NOT NULL,
    status         TEXT    NOT NULL CHECK (status IN ('draft', 'approved', 'scheduled', 'active', 'paused',
                                                              'ended')),
    terms          TEXT    NOT NULL,
    funded_minor   INTEGER NOT NULL DEFAULT 0 CHECK (funded_minor >= 0),
    spent_minor    INTEGER NOT NULL DEFAULT 0 CHECK (spent_minor >= 0),
    reversed_minor INTEGER NOT NULL DEFAULT 0 CHECK (reversed_minor >= 0),
    draws          INTEGER NOT NULL DEFAULT 0,
    wins           INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE campaign_versions (
    campaign_id TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    position    INTEGER NOT NULL UNIQUE,
    terms       TEXT    NOT NULL,
    author      TEXT    NOT NULL,
    approved_by TEXT,
    PRIMARY KEY (campaign_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE prize_tables (
    campaign_id TEXT NOT NULL,
    table_hash  BLOB NOT NULL CHECK (length(table_hash) = 32),
    prize_table TEXT NOT NULL,
    PRIMARY KEY (campaign_id, table_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE epochs (
    campaign_id      TEXT    NOT NULL,
    epoch            TEXT    NOT NULL,
    status           TEXT    NOT NULL CHECK (status IN ('scheduled', 'open', 'halted', 'closed', 'revealed')),
    opens_at         INTEGER NOT NULL,
    closes_at        INTEGER NOT NULL,
    grace_days       INTEGER NOT NULL,
    commitment       BLOB    NOT NULL CHECK (length(commitment) = 32),
    table_hash       BLOB    NOT NULL,
    beacon_spec      TEXT    NOT NULL,
    at_once          INTEGER NOT NULL,
    committed_at     INTEGER,
    committed_in     INTEGER,
    opened_at        INTEGER,
    beacon           BLOB,
    beacon_signature BLOB,
    budget_cap_minor INTEGER,
    halt_reason      TEXT,
    draws            INTEGER NOT NULL DEFAULT 0,
    paid_minor       INTEGER NOT NULL DEFAULT 0,
    root             BLOB,
    seed             BLOB,
    PRIMARY KEY (campaign_id, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE epoch_wins (
    campaign_id TEXT    NOT NULL,
    epoch       TEXT    NOT NULL,
    tier        INTEGER NOT NULL,
    wins        INTEGER NOT NULL,
    PRIMARY KEY (campaign_id, epoch, tier)
) STRICT, WITHOUT ROWID;

-- trial_balance ------------------------------------------------------------------------------------------

-- Every entry by position, so that the books can be drawn up as of any of them.
CREATE TABLE entries (
    position       INTEGER NOT NULL,
    ordinal        INTEGER NOT NULL,
    ledger_account TEXT    NOT NULL,
    currency       TEXT    NOT NULL,
    debit_minor    INTEGER NOT NULL CHECK (debit_minor >= 0),
    credit_minor   INTEGER NOT NULL CHECK (credit_minor >= 0),
    PRIMARY KEY (position, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_totals (
    ledger_account TEXT    NOT NULL,
    currency       TEXT    NOT NULL,
    debits_minor   INTEGER NOT NULL CHECK (debits_minor >= 0),
    credits_minor  INTEGER NOT NULL CHECK (credits_minor >= 0),
    PRIMARY KEY (ledger_account, currency)
) STRICT, WITHOUT ROWID;
