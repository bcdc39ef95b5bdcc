-- When and where in the log a day's seed was committed to: on a campaign's first day that may be after the day had begun.
-- The log has it of every day; a program before this migration writes none (`rewardhub rebuild campaigns`).

ALTER TABLE read_models.epochs ADD COLUMN committed_at bigint, ADD COLUMN committed_in bigint;

UPDATE read_models.epochs SET committed_at = recorded_at, committed_in = position
FROM ledger.events
WHERE aggregate_type = 'campaign' AND aggregate_id = campaign_id AND event_type = 'EpochScheduled'
  AND payload -> 'EpochScheduled' ->> 'epoch' = epoch;
