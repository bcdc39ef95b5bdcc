-- What the runtime role may do. Granted again by every `rewardhub migrate --runtime-role`.
GRANT USAGE ON SCHEMA rewardhub, ledger, read_models TO :role;
GRANT SELECT ON rewardhub.migrations TO :role;
GRANT SELECT, INSERT ON ledger.events TO :role;
GRANT SELECT, UPDATE ON ledger.head TO :role;
GRANT SELECT ON ledger.identity TO :role;
GRANT SELECT, INSERT ON ledger.key_fingerprints TO :role;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.snapshots TO :role;
GRANT USAGE ON SCHEMA read_models TO :role;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA read_models TO :role;
GRANT USAGE ON SCHEMA keys, steps TO :role;
GRANT SELECT, INSERT, UPDATE (wrapped, erased_at) ON keys.account_keys TO :role;
GRANT SELECT, INSERT ON keys.named_keys TO :role;
GRANT SELECT, INSERT, UPDATE ON steps.checkpoints TO :role;
-- `restore --declare` begins the steps anew.
GRANT DELETE ON ALL TABLES IN SCHEMA steps TO :role;
GRANT SELECT, INSERT, UPDATE ON steps.belongs, keys.belongs TO :role;
GRANT SELECT, INSERT, UPDATE, DELETE ON steps.items, steps.tallies TO :role;
