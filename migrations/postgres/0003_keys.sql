-- Keys, in a schema of their own: granted and dumped apart from the log. Every key is wrapped by the key provider and
-- worthless without it.
CREATE SCHEMA keys;

CREATE TABLE keys.account_keys (
    account_id text   PRIMARY KEY CHECK (account_id <> '') COLLATE "C",
    wrapped    bytea  NOT NULL,
    created_at bigint NOT NULL,                                           -- microseconds since 1970 UTC
    erased_at  bigint,                                                    -- set: the key is gone for ever
    CHECK ((erased_at IS NULL) = (length(wrapped) > 0))
);

-- Our own: `index` and `draw`.
CREATE TABLE keys.named_keys (
    name    text  PRIMARY KEY CHECK (name <> ''),
    wrapped bytea NOT NULL CHECK (length(wrapped) > 0)
);

-- The only change a key knows is its end: a tombstone is final, and nobody replaces a key that something is sealed
-- under.
CREATE FUNCTION keys.keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND TG_LEVEL = 'ROW' THEN
        IF OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL AND NEW.account_id = OLD.account_id THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% on %.% is refused: keys are made once and destroyed once', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER account_keys_end_once BEFORE UPDATE ON keys.account_keys
    FOR EACH ROW EXECUTE FUNCTION keys.keep();
CREATE TRIGGER account_keys_keep_rows BEFORE DELETE OR TRUNCATE ON keys.account_keys
    FOR EACH STATEMENT EXECUTE FUNCTION keys.keep();
CREATE TRIGGER named_keys_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON keys.named_keys
    FOR EACH STATEMENT EXECUTE FUNCTION keys.keep();
