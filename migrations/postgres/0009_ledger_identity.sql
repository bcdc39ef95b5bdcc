-- Which ledger this is: made once, beside the log. The other schemas carry the id, so that one that was restored by
-- itself, or comes from elsewhere, is recognised.
CREATE TABLE ledger.identity (
    one     boolean PRIMARY KEY CHECK (one),
    id      text    NOT NULL CHECK (length(id) = 32),
    made_at bigint  NOT NULL                                              -- microseconds since 1970 UTC
);
INSERT INTO ledger.identity
    SELECT true, replace(gen_random_uuid()::text, '-', ''), (extract(epoch FROM now()) * 1000000)::bigint;

-- What our own keys are recognised by. Without them no repeat is recognised and no seed opens, so others are refused.
-- A later key is a row more.
CREATE TABLE ledger.key_fingerprints (
    name        text   PRIMARY KEY CHECK (name <> ''),
    fingerprint bytea  NOT NULL CHECK (length(fingerprint) = 16),
    position    bigint NOT NULL CHECK (position >= 0)                     -- where the log stood when it was noted
);

CREATE TRIGGER identity_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.identity
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER key_fingerprints_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger.key_fingerprints
    FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();

-- Which ledger each schema belongs to, and how far it knows the log to have come.
CREATE TABLE read_models.belongs (
    one      boolean PRIMARY KEY CHECK (one),
    ledger   text    NOT NULL CHECK (length(ledger) = 32),
    position bigint  NOT NULL CHECK (position >= 0)
);
CREATE TABLE steps.belongs (LIKE read_models.belongs INCLUDING ALL);
CREATE TABLE keys.belongs (LIKE read_models.belongs INCLUDING ALL);
INSERT INTO read_models.belongs SELECT true, id, 0 FROM ledger.identity;
INSERT INTO steps.belongs SELECT true, id, 0 FROM ledger.identity;
INSERT INTO keys.belongs SELECT true, id, 0 FROM ledger.identity;
