-- What two people made of a line that was held: the bank had taken it back and booked it again.

ALTER TABLE read_models.transactions ADD COLUMN verdict text COLLATE "C" CHECK (verdict IN ('released', 'dismissed'));

-- The few lines that wait for people, whoever's they are. Where there are many lines, made CONCURRENTLY by hand before.
CREATE INDEX IF NOT EXISTS transactions_held ON read_models.transactions (position) WHERE status = 'held';
