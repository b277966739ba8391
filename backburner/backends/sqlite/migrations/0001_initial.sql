-- Jobs, the history of their attempts, nodes, what operators set for queues, and the ledger of these steps.
--
-- Every update writes its whole row: what is short and asked for by filters stands first, what may be long last.

CREATE TABLE backburner_jobs (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    kind            TEXT    NOT NULL,
    queue           TEXT    NOT NULL,
    state           TEXT    NOT NULL DEFAULT 'pending'
                    CHECK (state IN ('pending', 'running', 'completed', 'cancelled', 'dead')),
    gate            TEXT    NOT NULL DEFAULT '',
    priority        INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 9),
    created_at      INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    expires_at      INTEGER,
    started_at      INTEGER,
    ended_at        INTEGER,
    attempt         INTEGER NOT NULL DEFAULT 0,
    failures        INTEGER NOT NULL DEFAULT 0,
    crashes         INTEGER NOT NULL DEFAULT 0,
    interruptions   INTEGER NOT NULL DEFAULT 0,
    token           INTEGER NOT NULL DEFAULT 0,
    node            TEXT,
    cancel          INTEGER NOT NULL DEFAULT 0,
    -- Why the job was handed over to be settled, and the node it lapsed on; kept until it is settled.
    recovered_cause TEXT,
    recovered_node  TEXT,
    timeout         INTEGER,
    backoff         INTEGER,
    retry           TEXT,
    tags            TEXT    NOT NULL DEFAULT '[]',
    reason          TEXT,
    error           TEXT    NOT NULL DEFAULT '',
    message         TEXT    NOT NULL DEFAULT '',
    fingerprint     TEXT    NOT NULL DEFAULT '',
    args            TEXT    NOT NULL,
    result          TEXT,
    CHECK ((ended_at IS NULL) = (state IN ('pending', 'running'))),
    CHECK (state <> 'running' OR node IS NOT NULL)
) STRICT;

-- The line of each queue, and its gates: the order in which jobs are claimed.
CREATE INDEX backburner_jobs_line ON backburner_jobs (queue, gate, priority, due_at, id) WHERE state = 'pending';

-- What each node holds.
CREATE INDEX backburner_jobs_held ON backburner_jobs (node) WHERE state = 'running';

-- What expires unless it is started.
CREATE INDEX backburner_jobs_expiring ON backburner_jobs (expires_at)
    WHERE state = 'pending' AND expires_at IS NOT NULL;

-- What ended, for its retention.
CREATE INDEX backburner_jobs_ended ON backburner_jobs (state, ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE backburner_attempts (
    seq         INTEGER PRIMARY KEY,
    -- The seq of its job, which is deleted together with its attempts.
    job         INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    ending      TEXT    NOT NULL,
    node        TEXT    NOT NULL,
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    error       TEXT    NOT NULL,
    message     TEXT    NOT NULL,
    fingerprint TEXT    NOT NULL,
    traceback   TEXT    NOT NULL
) STRICT;

CREATE INDEX backburner_attempts_job ON backburner_attempts (job);

CREATE TABLE backburner_nodes (
    id         TEXT    PRIMARY KEY,
    host       TEXT    NOT NULL,
    pid        INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    queues     TEXT    NOT NULL,
    kinds      TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE backburner_queues (
    name         TEXT    PRIMARY KEY,
    paused       INTEGER NOT NULL,
    paused_until INTEGER,
    reason       TEXT,
    set_by       TEXT,
    slots        INTEGER
) STRICT, WITHOUT ROWID;

-- One row: how many hints were written down because no other change announced them, and how many told of a lapse.
CREATE TABLE backburner_hints (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    told   INTEGER NOT NULL,
    lapses INTEGER NOT NULL
) STRICT;

INSERT INTO backburner_hints (one, told, lapses) VALUES (1, 0, 0);

CREATE TABLE backburner_migrations (
    version    INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    checksum   TEXT    NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;
