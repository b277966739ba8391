-- Schedules, the ledger of their ticks, and which schedules each node's code declares.
-- functions: a51a7ed2454e15a17940e8ec5177fe1f9cfb72d73265fb1378a3adbd84beda86

CREATE TABLE {schema}.schedules (
    name         text    COLLATE "C" PRIMARY KEY,
    version      bigint  NOT NULL,
    kind         text    COLLATE "C" NOT NULL,
    -- JSON as text: the engine's own.
    rule         text    NOT NULL,
    job          text    NOT NULL,
    declared     boolean NOT NULL,
    retired      boolean NOT NULL,
    next_tick    bigint,
    due_at       bigint,
    last_tick    bigint,
    fired_at     bigint,
    last_job     text    COLLATE "C",
    paused       boolean NOT NULL,
    paused_until bigint,
    reason       text,
    set_by       text,
    created_at   bigint  NOT NULL,
    changed_at   bigint  NOT NULL
) WITH (
    -- A tick changes what is indexed, so room on the page would spare it nothing. What it leaves in the index of what is due,
    -- looks have to walk over until it is vacuumed.
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);

-- The order in which they are looked at; those that never are, however many, are not in it.
CREATE INDEX schedules_due ON {schema}.schedules (due_at, name) WHERE due_at IS NOT NULL;

-- Those that stand in code are few, and each start reads them.
CREATE INDEX schedules_declared ON {schema}.schedules (name) WHERE declared;

-- Lines are added, nearly in the order of their ids, never changed, and pruned.
CREATE TABLE {schema}.ticks (
    id       text   COLLATE "C" PRIMARY KEY,
    schedule text   COLLATE "C" NOT NULL,
    tick     bigint NOT NULL,
    last     bigint NOT NULL,
    count    bigint NOT NULL,
    outcome  text   COLLATE "C" NOT NULL,
    reason   text,
    job      text   COLLATE "C",
    due_at   bigint NOT NULL,
    at       bigint NOT NULL,
    set_by   text,
    note     text
) WITH (
    -- Prunes begin at the oldest, and have to walk over what the ones before left there.
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);

-- The ledger of each schedule.
CREATE INDEX ticks_of ON {schema}.ticks (schedule, id);

-- For their retention.
CREATE INDEX ticks_written ON {schema}.ticks (at);

-- What happened since: few lines tell of the last hour, however long the ledger is.
CREATE INDEX ticks_last ON {schema}.ticks (last);

-- What is looked for among very many that simply fired.
CREATE INDEX ticks_other ON {schema}.ticks (id) WHERE outcome <> 'fired';

-- JSON: the queue of each kind, where that is not the default one.
ALTER TABLE {schema}.nodes ADD COLUMN kind_queues text NOT NULL DEFAULT '{}';
ALTER TABLE {schema}.nodes ADD COLUMN schedules text[] NOT NULL DEFAULT '{}';
