-- The read models. All of it can be rebuilt from the log.
--
-- The tables of migrations/sqlite/read.sql under the same names: the same SQL runs on both. Money is integer minor
-- units beside its currency; times are microseconds since 1970 UTC; hashes are bytes. Text is ordered by its bytes,
-- as in SQLite. A table's key columns come first and in key order: rebuild walks tables by them.
CREATE SCHEMA read_models;

CREATE TABLE read_models.checkpoints (
    projection text COLLATE "C" NOT NULL PRIMARY KEY,
    position   bigint           NOT NULL CHECK (position >= 0)
);

-- account ------------------------------------------------------------------------------------------------

CREATE TABLE read_models.accounts (
    account_id  text COLLATE "C" NOT NULL PRIMARY KEY,
    enrolled_at bigint,
    closed_at   bigint,
    excluded_at bigint,
    erased_at   bigint
);

CREATE TABLE read_models.balances (
    account_id     text COLLATE "C" NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    won_minor      bigint           NOT NULL CHECK (won_minor >= 0),
    issued_minor   bigint           NOT NULL CHECK (issued_minor >= 0),
    credited_minor bigint           NOT NULL CHECK (credited_minor >= 0),
    reversed_minor bigint           NOT NULL CHECK (reversed_minor >= 0),
    PRIMARY KEY (account_id, currency)
);

-- rewards ------------------------------------------------------------------------------------------------

CREATE TABLE read_models.rewards (
    position         bigint           NOT NULL,
    ordinal          bigint           NOT NULL,
    entry_id         bytea            NOT NULL UNIQUE CHECK (length(entry_id) = 32),
    account_id       text COLLATE "C" NOT NULL,
    campaign_id      text COLLATE "C" NOT NULL,
    source           text COLLATE "C" NOT NULL,
    transaction_id   text COLLATE "C" NOT NULL,
    amount_minor     bigint           NOT NULL CHECK (amount_minor >= 0),
    currency         text COLLATE "C" NOT NULL,
    status           text COLLATE "C" NOT NULL CHECK (status IN ('won', 'issued', 'credited', 'reversed', 'credit_failed')),
    won_at           bigint           NOT NULL,
    issued_at        bigint,
    notified_at      bigint,
    attempt          bigint           NOT NULL DEFAULT 0,
    credited_at      bigint,
    payout_reference text COLLATE "C",
    failed_at        bigint,
    failure          text COLLATE "C",
    reversed_at      bigint,
    reversal_reason  text COLLATE "C",
    PRIMARY KEY (position, ordinal)
);

CREATE INDEX rewards_by_account ON read_models.rewards (account_id, position, ordinal);

-- transactions -------------------------------------------------------------------------------------------

CREATE TABLE read_models.transactions (
    position               bigint           NOT NULL PRIMARY KEY,
    source                 text COLLATE "C" NOT NULL,
    transaction_id         text COLLATE "C" NOT NULL,
    account_id             text COLLATE "C" NOT NULL,
    status                 text COLLATE "C" NOT NULL CHECK (status IN ('pending', 'booked', 'deferred', 'held', 'removed')),
    booked_at              bigint           NOT NULL,
    recorded_at            bigint           NOT NULL,
    details                text COLLATE "C",
    pending_transaction_id text COLLATE "C",
    outcome                text COLLATE "C" CHECK (outcome IN ('declined', 'lost', 'won')),
    defer_reason           text COLLATE "C",
    considered             text COLLATE "C",
    draws                  text COLLATE "C",
    removed_at             bigint,
    UNIQUE (source, transaction_id)
);

-- An account's lines in order.
CREATE INDEX transactions_by_account ON read_models.transactions (account_id, position);

-- Other names of a line: its id while pending, or one its bank gave it later.
CREATE TABLE read_models.transaction_aliases (
    source         text COLLATE "C" NOT NULL,
    transaction_id text COLLATE "C" NOT NULL,
    booked_as      text COLLATE "C" NOT NULL,
    PRIMARY KEY (source, transaction_id)
);

-- campaigns ----------------------------------------------------------------------------------------------

CREATE TABLE read_models.campaigns (
    campaign_id    text COLLATE "C" NOT NULL PRIMARY KEY,
    position       bigint           NOT NULL UNIQUE,
    version        bigint           NOT NULL,
    status         text COLLATE "C" NOT NULL CHECK (status IN ('draft', 'approved', 'active', 'paused', 'ended')),
    terms          text COLLATE "C" NOT NULL,
    funded_minor   bigint           NOT NULL DEFAULT 0 CHECK (funded_minor >= 0),
    spent_minor    bigint           NOT NULL DEFAULT 0 CHECK (spent_minor >= 0),
    reversed_minor bigint           NOT NULL DEFAULT 0 CHECK (reversed_minor >= 0),
    draws          bigint           NOT NULL DEFAULT 0,
    wins           bigint           NOT NULL DEFAULT 0
);

CREATE TABLE read_models.prize_tables (
    campaign_id text COLLATE "C" NOT NULL,
    table_hash  bytea            NOT NULL CHECK (length(table_hash) = 32),
    prize_table text COLLATE "C" NOT NULL,
    PRIMARY KEY (campaign_id, table_hash)
);

CREATE TABLE read_models.epochs (
    campaign_id      text COLLATE "C" NOT NULL,
    epoch            text COLLATE "C" NOT NULL,
    status           text COLLATE "C" NOT NULL CHECK (status IN ('scheduled', 'open', 'halted', 'closed', 'revealed')),
    opens_at         bigint           NOT NULL,
    closes_at        bigint           NOT NULL,
    grace_days       bigint           NOT NULL,
    commitment       bytea            NOT NULL CHECK (length(commitment) = 32),
    table_hash       bytea            NOT NULL,
    beacon_spec      text COLLATE "C" NOT NULL,
    at_once          bigint           NOT NULL,
    opened_at        bigint,
    beacon           bytea,
    budget_cap_minor bigint,
    halt_reason      text COLLATE "C",
    draws            bigint           NOT NULL DEFAULT 0,
    paid_minor       bigint           NOT NULL DEFAULT 0,
    root             bytea,
    seed             bytea,
    PRIMARY KEY (campaign_id, epoch)
);

CREATE TABLE read_models.epoch_wins (
    campaign_id text COLLATE "C" NOT NULL,
    epoch       text COLLATE "C" NOT NULL,
    tier        bigint           NOT NULL,
    wins        bigint           NOT NULL,
    PRIMARY KEY (campaign_id, epoch, tier)
);

-- trial_balance ------------------------------------------------------------------------------------------

-- Every entry by position, so that the books can be drawn up as of any of them.
CREATE TABLE read_models.entries (
    position       bigint           NOT NULL,
    ordinal        bigint           NOT NULL,
    ledger_account text COLLATE "C" NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    debit_minor    bigint           NOT NULL CHECK (debit_minor >= 0),
    credit_minor   bigint           NOT NULL CHECK (credit_minor >= 0),
    PRIMARY KEY (position, ordinal)
);

CREATE TABLE read_models.ledger_totals (
    ledger_account text COLLATE "C" NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    debits_minor   bigint           NOT NULL CHECK (debits_minor >= 0),
    credits_minor  bigint           NOT NULL CHECK (credits_minor >= 0),
    PRIMARY KEY (ledger_account, currency)
);
