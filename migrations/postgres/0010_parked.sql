-- Items of steps that are not done: tried again later, or parked for a person. A cursor passes an item once it stands
-- here. Losing it together with `steps.checkpoints` costs time, never money: the log is read again from the beginning.
CREATE TABLE steps.items (
    id       text    COLLATE "C" PRIMARY KEY CHECK (id <> ''),
    step     text    NOT NULL,
    position bigint  NOT NULL CHECK (position > 0),
    account  text    NOT NULL,
    key      text    NOT NULL,
    state    text    NOT NULL CHECK (state IN ('waiting', 'parked')),
    attempts bigint  NOT NULL CHECK (attempts >= 0),
    next_at  bigint  NOT NULL,
    reason   text    NOT NULL,
    since    bigint  NOT NULL,
    wakes    text    NOT NULL,
    about    bigint,
    act      text,
    proposed text,
    decided  bigint  NOT NULL
);
CREATE INDEX items_due ON steps.items (step, state, next_at, position);
CREATE INDEX items_parked ON steps.items (id COLLATE "C") WHERE state = 'parked';
