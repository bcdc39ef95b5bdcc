-- How far each step has come. Losing it costs time, never money.
CREATE SCHEMA steps;

CREATE TABLE steps.checkpoints (
    step     text   PRIMARY KEY CHECK (step <> ''),
    position bigint NOT NULL CHECK (position >= 0)
);
