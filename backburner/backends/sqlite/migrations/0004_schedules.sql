-- Schedules, the ledger of their ticks, and which of them each node's code declares.

-- Every update writes its whole row: what changes with each tick stands first, what is long last.
CREATE TABLE backburner_schedules (
    seq          INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    version      INTEGER NOT NULL,
    kind         TEXT    NOT NULL,
    declared     INTEGER NOT NULL,
    retired      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL,
    next_tick    INTEGER,
    due_at       INTEGER,
    last_tick    INTEGER,
    fired_at     INTEGER,
    last_job     TEXT,
    paused       INTEGER NOT NULL,
    paused_until INTEGER,
    reason       TEXT,
    set_by       TEXT,
    rule         TEXT    NOT NULL,
    job          TEXT    NOT NULL
) STRICT;

-- The order in which they are looked at; those that never are, however many, are not in it.
CREATE INDEX backburner_schedules_due ON backburner_schedules (due_at, name) WHERE due_at IS NOT NULL;

-- Lines are added in the order of their ids, or nearly so, and never change.
CREATE TABLE backburner_ticks (
    id       TEXT    PRIMARY KEY,
    schedule TEXT    NOT NULL,
    tick     INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    outcome  TEXT    NOT NULL,
    reason   TEXT,
    job      TEXT,
    due_at   INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    set_by   TEXT,
    note     TEXT
) STRICT, WITHOUT ROWID;

-- The ledger of each schedule.
CREATE INDEX backburner_ticks_of ON backburner_ticks (schedule, id);

-- For their retention.
CREATE INDEX backburner_ticks_written ON backburner_ticks (at);

-- The queue of each kind where that is not the default one (JSON), and the names of schedules (JSON).
ALTER TABLE backburner_nodes ADD COLUMN kind_queues TEXT NOT NULL DEFAULT '{}';
ALTER TABLE backburner_nodes ADD COLUMN schedules TEXT NOT NULL DEFAULT '[]';
