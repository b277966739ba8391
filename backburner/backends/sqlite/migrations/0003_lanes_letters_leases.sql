-- What lanes and limits, rates and pauses, dead letters, operations, cells and leases need.

-- A JSON array: the lanes that a claim asks, in order.
ALTER TABLE backburner_jobs ADD COLUMN lanes TEXT NOT NULL DEFAULT '[]';

-- Who stands at the gate of a lane: of each queue in the order in which they are let in.
CREATE INDEX backburner_jobs_in_lanes ON backburner_jobs (gate, queue, priority, due_at, id)
    WHERE gate >= 'lane:' AND gate < 'lane;' AND state = 'pending';

-- Dead letters by id; and by how they failed, with all that they are usually asked for by, so that a million are counted
-- without one of them being read.
CREATE INDEX backburner_jobs_letters ON backburner_jobs (id) WHERE state = 'dead';
CREATE INDEX backburner_jobs_failures ON backburner_jobs (
    fingerprint, kind, ended_at, id, queue, created_at, error, message
) WHERE state = 'dead';

-- Limits, each what code declares and what an operator set in its place (JSON); the operator's holds.
CREATE TABLE backburner_limits (
    name     TEXT PRIMARY KEY,
    declared TEXT,
    override TEXT,
    set_by   TEXT,
    reason   TEXT
) STRICT, WITHOUT ROWID;

-- Lanes where jobs stand, or of whose rate something is used: a meter, of which rate it is (NULL: nothing was used
-- yet), and from when on it says nothing any more. A lane opens at a moment, or (NULL) when it is told to.
CREATE TABLE backburner_lanes (
    name      TEXT    PRIMARY KEY,
    mark      INTEGER NOT NULL DEFAULT 0,
    count     INTEGER NOT NULL DEFAULT 0,
    previous  INTEGER NOT NULL DEFAULT 0,
    metered   TEXT,
    full_at   INTEGER NOT NULL DEFAULT 0,
    opens_at  INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX backburner_lanes_opening ON backburner_lanes (opens_at) WHERE opens_at IS NOT NULL;

-- The runs that count against a lane's slots.
CREATE TABLE backburner_held (
    lane TEXT NOT NULL,
    job  TEXT NOT NULL,
    PRIMARY KEY (lane, job)
) STRICT, WITHOUT ROWID;

CREATE INDEX backburner_held_by_job ON backburner_held (job);

-- How many of a queue's jobs may start in how long (JSON), and how much of that is used.
ALTER TABLE backburner_queues ADD COLUMN rate TEXT;
ALTER TABLE backburner_queues ADD COLUMN mark INTEGER NOT NULL DEFAULT 0;
ALTER TABLE backburner_queues ADD COLUMN count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE backburner_queues ADD COLUMN previous INTEGER NOT NULL DEFAULT 0;
ALTER TABLE backburner_queues ADD COLUMN metered TEXT;

-- Kinds that are paused.
CREATE TABLE backburner_kinds (
    name         TEXT PRIMARY KEY,
    paused_until INTEGER,
    reason       TEXT,
    set_by       TEXT
) STRICT, WITHOUT ROWID;

-- JSON texts by kind (JSON).
ALTER TABLE backburner_nodes ADD COLUMN signatures TEXT NOT NULL DEFAULT '{}';

CREATE TABLE backburner_cells (
    name    TEXT    PRIMARY KEY,
    version INTEGER NOT NULL,
    value   TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- One that is over is kept while its token is in the future, so that a later one is greater.
CREATE TABLE backburner_leases (
    name   TEXT    NOT NULL,
    holder TEXT    NOT NULL,
    token  INTEGER NOT NULL,
    shared INTEGER NOT NULL,
    until  INTEGER NOT NULL,
    PRIMARY KEY (name, holder)
) STRICT, WITHOUT ROWID;

CREATE TABLE backburner_operations (
    id         TEXT    PRIMARY KEY,
    action     TEXT    NOT NULL,
    active     INTEGER NOT NULL,
    version    INTEGER NOT NULL,
    done       INTEGER NOT NULL,
    kept       INTEGER NOT NULL,
    missed     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    set_by     TEXT,
    reason     TEXT,
    state      TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
