-- What one page of the log says of one day's draws: their ids, sorted, and sums. So a day is counted without reading the
-- log again. Losing it together with `steps.checkpoints` costs time, never money.
CREATE TABLE steps.tallies (
    campaign   text   NOT NULL,
    epoch      text   NOT NULL,
    position   bigint NOT NULL CHECK (position > 0),
    entries    bytea  NOT NULL CHECK (length(entries) % 32 = 0),
    wins       text   NOT NULL,
    paid_minor bigint NOT NULL CHECK (paid_minor >= 0),
    PRIMARY KEY (campaign, epoch, position)
);
