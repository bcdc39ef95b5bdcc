-- The sandbox payout rail's own books. One row per idempotency key, written once, never changed.
CREATE TABLE payments (
    key          TEXT    NOT NULL PRIMARY KEY,
    account_id   TEXT    NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (typeof(amount_minor) = 'integer' AND amount_minor >= 0),
    currency     TEXT    NOT NULL CHECK (length(currency) = 3),
    reference    TEXT    UNIQUE,
    status       TEXT    NOT NULL CHECK (status IN ('paid', 'refused')),
    reason       TEXT,
    paid_at      INTEGER,
    CHECK ((status = 'paid' AND reference IS NOT NULL AND paid_at IS NOT NULL AND reason IS NULL AND amount_minor > 0)
        OR (status = 'refused' AND reference IS NULL AND paid_at IS NULL AND reason IS NOT NULL))
) STRICT;

CREATE TRIGGER payments_are_final BEFORE UPDATE ON payments
BEGIN SELECT RAISE(ABORT, 'a payment is final'); END;

CREATE TRIGGER payments_stay BEFORE DELETE ON payments
BEGIN SELECT RAISE(ABORT, 'a payment is final'); END;
