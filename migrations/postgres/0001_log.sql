-- The event log on PostgreSQL: append-only, one writer at a time.
CREATE SCHEMA ledger;

-- One row for each fact. The first seven columns are postgres-es's own, so its `PostgresEventRepository` reads them;
-- the rest are NOT NULL without defaults, so its INSERT is kept out. `json`, not `jsonb`: the hash is over the text.
CREATE TABLE ledger.events (
    aggregate_type  text     NOT NULL CHECK (aggregate_type IN ('account', 'campaign', 'system')),
    aggregate_id    text     NOT NULL CHECK (aggregate_id <> '') COLLATE "C",
    sequence        bigint   NOT NULL CHECK (sequence >= 1),
    event_type      text     NOT NULL CHECK (event_type <> ''),
    event_version   text     NOT NULL CHECK (event_version <> ''),
    payload         json     NOT NULL,
    metadata        json     NOT NULL,                                    -- a flat map of strings
    partition       smallint NOT NULL CHECK (partition = 0),
    position        bigint   NOT NULL CHECK (position >= 1),              -- gapless
    recorded_at     bigint   NOT NULL,                                    -- microseconds since 1970 UTC
    transaction_key bytea    CHECK (length(transaction_key) = 16),
    hash            bytea    NOT NULL CHECK (length(hash) = 32),
    CONSTRAINT events_position PRIMARY KEY (position),
    CONSTRAINT events_stream UNIQUE (aggregate_type, aggregate_id, sequence)
);

-- The last word on whether a transaction is known.
CREATE UNIQUE INDEX events_transaction_key ON ledger.events (transaction_key) WHERE transaction_key IS NOT NULL;

-- Where the log stands and who may write. An append is a compare-and-set on epoch and position.
CREATE TABLE ledger.head (
    partition    smallint    PRIMARY KEY CHECK (partition = 0),
    epoch        bigint      NOT NULL CHECK (epoch >= 0),
    position     bigint      NOT NULL CHECK (position >= 0),
    recorded_at  bigint,                                                  -- the last event's; NULL when empty
    holder       text        NOT NULL,                                    -- the writer's name, unique for each start
    leased_until timestamptz NOT NULL                                     -- this server's clock, for standbys only
);
INSERT INTO ledger.head VALUES (0, 0, 0, NULL, '', '-infinity');

-- States of long streams, so that hydration need not read all their events. May be emptied at any time.
CREATE TABLE ledger.snapshots (
    aggregate_type text   NOT NULL,
    aggregate_id   text   NOT NULL COLLATE "C",
    sequence       bigint NOT NULL CHECK (sequence >= 1),                 -- of the last event in the state
    hash           bytea  NOT NULL CHECK (length(hash) = 32),             -- of that event
    code           text   NOT NULL,                                       -- fingerprint of the code that made it
    state          bytea  NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
);

CREATE FUNCTION ledger.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: the log is append-only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

-- Once for each statement: an append costs nothing more.
CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.events
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER head_is_never_removed BEFORE DELETE OR TRUNCATE ON ledger.head
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
