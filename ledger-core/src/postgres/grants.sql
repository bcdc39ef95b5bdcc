-- What the runtime role may do. Granted again by every `rewardhub migrate --runtime-role`.
GRANT USAGE ON SCHEMA rewardhub, ledger, read_models TO :role;
GRANT SELECT ON rewardhub.migrations TO :role;
GRANT SELECT, INSERT ON ledger.events TO :role;
GRANT SELECT, UPDATE ON ledger.head TO :role;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.snapshots TO :role;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA read_models TO :role;
