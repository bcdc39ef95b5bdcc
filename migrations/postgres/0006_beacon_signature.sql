-- What a public beacon's randomness is the SHA-256 of; absent where an epoch waited for none.

ALTER TABLE read_models.epochs ADD COLUMN beacon_signature bytea;
