-- Jobs, the history of their attempts, nodes, lanes, what operators set, and what nodes share.
-- functions: 31ab529779d4e03a1f4c4345a5db720604f3c32ad3f4c73a0c9270f6635ea75f
--
-- What is compared is compared byte by byte (COLLATE "C"), as in every other store, and independently of the database's
-- locale. Instants are microseconds since 1970 UTC, durations microseconds.

-- How many may start in how long, and how much of that is used: as the model has them. A meter says what it was used by, until
-- then NULL.
CREATE TYPE {schema}.rate AS ("limit" bigint, period bigint, algorithm text, burst bigint);
CREATE TYPE {schema}.meter AS (rate text, mark bigint, count bigint, previous bigint);

CREATE TABLE {schema}.jobs (
    id              text     COLLATE "C" PRIMARY KEY,
    kind            text     COLLATE "C" NOT NULL,
    queue           text     COLLATE "C" NOT NULL,
    state           text     COLLATE "C" NOT NULL DEFAULT 'pending',
    gate            text     COLLATE "C" NOT NULL DEFAULT '',
    priority        smallint NOT NULL CHECK (priority BETWEEN 0 AND 9),
    created_at      bigint   NOT NULL,
    due_at          bigint   NOT NULL,
    expires_at      bigint,
    started_at      bigint,
    ended_at        bigint,
    attempt         integer  NOT NULL DEFAULT 0,
    failures        integer  NOT NULL DEFAULT 0,
    crashes         integer  NOT NULL DEFAULT 0,
    interruptions   integer  NOT NULL DEFAULT 0,
    token           bigint   NOT NULL DEFAULT 0,
    node            text     COLLATE "C",
    -- Why a running job is to be cancelled; NULL while nobody asked for that.
    cancel_reason   text,
    -- Why the job was handed over to be settled, and the node it lapsed on; kept until it is settled.
    recovered_cause text,
    recovered_node  text,
    timeout         bigint,
    backoff         bigint,
    retry           text,
    -- The job in whose run it was stored; NULL once that let it go. An ended child whose own time has passed is lifted
    -- out of what is to be pruned until then.
    parent          text     COLLATE "C",
    lifted          boolean  NOT NULL DEFAULT false,
    -- Held while the state is one of unique_states, and before unique_until; not at the key's own gate.
    unique_key      text     COLLATE "C",
    unique_states   text[]   COLLATE "C",
    unique_until    bigint,
    -- What a run told of itself: that its slot is lent, how far it has come, what the next one is handed.
    lent            boolean  NOT NULL DEFAULT false,
    done            bigint,
    total           bigint,
    tags            text[]   NOT NULL DEFAULT '{}',
    -- The lanes that a claim has to ask, in order; NULL for none.
    lanes           text[]   COLLATE "C",
    headers         text,
    reason          text,
    error           text     NOT NULL DEFAULT '',
    message         text     NOT NULL DEFAULT '',
    fingerprint     text     NOT NULL DEFAULT '',
    -- JSON as text: it is read back byte by byte, and nothing here looks into it on the way.
    args            text     NOT NULL,
    checkpoint      text,
    result          text,
    CHECK (CASE state
        WHEN 'pending' THEN ended_at IS NULL
        WHEN 'running' THEN ended_at IS NULL AND node IS NOT NULL
        WHEN 'completed' THEN ended_at IS NOT NULL
        WHEN 'cancelled' THEN ended_at IS NOT NULL
        WHEN 'dead' THEN ended_at IS NOT NULL
        ELSE false
    END)
) WITH (
    -- Every claim and every end leaves a dead row, and a dead entry at the head of the line. By default a table of a
    -- million rows is vacuumed after two hundred thousand of them, and claims would walk over all those: here after a
    -- hundredth, without the pauses that are meant for larger work.
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0,
    -- Plans are told how to look, so they hardly depend on statistics: the default of a tenth is often enough.
    autovacuum_analyze_scale_factor = 0.1
);

-- The line of each queue, and its gates: the order in which jobs are claimed.
CREATE INDEX jobs_line ON {schema}.jobs (queue, gate, priority, due_at, id) WHERE state = 'pending';

-- What each node holds.
CREATE INDEX jobs_held ON {schema}.jobs (node) WHERE state = 'running';

-- What expires unless it is started.
CREATE INDEX jobs_expiring ON {schema}.jobs (expires_at) WHERE state = 'pending' AND expires_at IS NOT NULL;

-- What ended, for its retention, but for what is lifted out.
CREATE INDEX jobs_ended ON {schema}.jobs (state, ended_at) WHERE ended_at IS NOT NULL AND NOT lifted;

-- The dead letters, with what they are mostly counted and grouped by, so that no look at each of them is needed; and the
-- newest of those that failed alike.
CREATE INDEX jobs_dead ON {schema}.jobs (id) INCLUDE (fingerprint, kind, created_at, ended_at) WHERE state = 'dead';
CREATE INDEX jobs_alike ON {schema}.jobs (fingerprint, ended_at, id) WHERE state = 'dead';

-- The children of each parent.
CREATE INDEX jobs_children ON {schema}.jobs (parent) WHERE parent IS NOT NULL;

-- Who holds a key by its state, and who by its time. Those that no longer can, however many, are in neither.
CREATE INDEX jobs_holding ON {schema}.jobs (unique_key, id)
    WHERE unique_key IS NOT NULL AND state = ANY (unique_states) AND gate <> 'unique:' || unique_key;
CREATE INDEX jobs_keeping ON {schema}.jobs (unique_key, unique_until)
    WHERE unique_until IS NOT NULL AND gate <> 'unique:' || unique_key;

-- Who stands at the gate of a key, whatever the queue: the order in which they are let through.
CREATE INDEX jobs_parked ON {schema}.jobs (gate, priority, due_at, id)
    WHERE state = 'pending' AND gate >= 'unique:' AND gate < 'unique;';

-- Who stands at a lane: of each queue the order in which they are let in.
CREATE INDEX jobs_at_lanes ON {schema}.jobs (gate, queue, priority, due_at, id)
    WHERE state = 'pending' AND gate >= 'lane:' AND gate < 'lane;';

CREATE TABLE {schema}.attempts (
    seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The id of its job, which is deleted together with its attempts.
    job         text    COLLATE "C" NOT NULL,
    attempt     integer NOT NULL,
    ending      text    NOT NULL,
    node        text    NOT NULL,
    started_at  bigint  NOT NULL,
    ended_at    bigint  NOT NULL,
    error       text    NOT NULL,
    message     text    NOT NULL,
    fingerprint text    NOT NULL,
    traceback   text    NOT NULL
);

CREATE INDEX attempts_job ON {schema}.attempts (job, seq);

CREATE TABLE {schema}.nodes (
    id          text    COLLATE "C" PRIMARY KEY,
    host        text    NOT NULL,
    pid         integer NOT NULL,
    started_at  bigint  NOT NULL,
    -- JSON: slots by queue, and signatures by kind.
    queues      text    NOT NULL,
    kinds       text[]  NOT NULL,
    signatures  text    NOT NULL,
    lease_until bigint  NOT NULL,
    drain       boolean NOT NULL DEFAULT false
) WITH (
    -- A beat writes one row. With room on its page the new version stays there, and no index is touched.
    fillfactor = 25
);

CREATE TABLE {schema}.queues (
    name         text    COLLATE "C" PRIMARY KEY,
    paused       boolean NOT NULL,
    paused_until bigint,
    reason       text,
    set_by       text,
    slots        integer,
    rate         {schema}.rate,
    meter        {schema}.meter NOT NULL DEFAULT '(,0,0,0)'
) WITH (
    -- With a rate each claim writes the row.
    fillfactor = 25
);

-- The kinds that are paused.
CREATE TABLE {schema}.kinds (
    name         text    COLLATE "C" PRIMARY KEY,
    paused_until bigint,
    reason       text,
    set_by       text
);

CREATE TABLE {schema}.limits (
    name     text   COLLATE "C" PRIMARY KEY,
    -- JSON: what code declared, and what an operator set in its place.
    declared text,
    override text,
    set_by   text,
    reason   text,
    -- What holds of them.
    slots    bigint,
    rate     {schema}.rate,
    deposit  bigint,
    CHECK (declared IS NOT NULL OR override IS NOT NULL)
);

-- A lane has a row once it has held or refused somebody: whose lock it takes to count its slots, and to say that jobs stand
-- there. Nobody holds that lock for longer than one claim or settlement takes.
CREATE TABLE {schema}.lanes (
    name     text    COLLATE "C" PRIMARY KEY,
    meter    {schema}.meter NOT NULL DEFAULT '(,0,0,0)',
    -- Jobs may stand here; none does while it is false.
    parked   boolean NOT NULL DEFAULT false,
    -- From when on a claim lets in whom it has room for; NULL until somebody makes room.
    opens_at bigint
) WITH (
    -- Claims write the rows of the lanes they spend, opening by opening: with room on the page most writes touch no index, and
    -- what they leave is cleared away before looks have to walk over it.
    fillfactor = 25,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX lanes_opening ON {schema}.lanes (opens_at) WHERE opens_at IS NOT NULL;

-- The runs that count against each lane's slots.
CREATE TABLE {schema}.held (
    lane text COLLATE "C" NOT NULL,
    job  text COLLATE "C" NOT NULL,
    PRIMARY KEY (lane, job)
) WITH (
    -- A row is written by a claim and gone with its settlement; counting a lane walks over what is left of them.
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX held_job ON {schema}.held (job);

CREATE TABLE {schema}.cells (
    name    text   COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    value   text   NOT NULL
) WITH (
    -- Breakers write theirs again and again.
    fillfactor = 25
);

-- Who holds a name, and who did until lately: what is over stays while its token is not below the store's now, which the next
-- one is drawn from.
CREATE TABLE {schema}.leases (
    name   text    COLLATE "C" NOT NULL,
    holder text    COLLATE "C" NOT NULL,
    token  bigint  NOT NULL,
    shared boolean NOT NULL,
    until  bigint  NOT NULL,
    PRIMARY KEY (name, holder)
) WITH (
    -- Renewed again and again.
    fillfactor = 25
);

CREATE TABLE {schema}.operations (
    id         text    COLLATE "C" PRIMARY KEY,
    action     text    NOT NULL,
    -- JSON: the engine's own.
    state      text    NOT NULL,
    active     boolean NOT NULL,
    version    bigint  NOT NULL DEFAULT 1,
    done       bigint  NOT NULL DEFAULT 0,
    kept       bigint  NOT NULL DEFAULT 0,
    missed     bigint  NOT NULL DEFAULT 0,
    asked_by   text,
    reason     text,
    created_at bigint  NOT NULL,
    changed_at bigint  NOT NULL
);

CREATE INDEX operations_active ON {schema}.operations (id) WHERE active;

-- What ended, for its retention.
CREATE INDEX operations_ended ON {schema}.operations (changed_at) WHERE NOT active;
