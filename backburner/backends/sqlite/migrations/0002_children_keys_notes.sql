-- What children, unique keys, notes of runs, headers, reasons of cancellation and drains need.
--
-- The table of jobs is made anew: a check cannot be taken back otherwise, and those of the first version, which looked
-- the state up in a list, built that list at every write of a row.

ALTER TABLE backburner_jobs RENAME TO backburner_jobs_before;

-- Every update writes its whole row: what is short and asked for by filters stands first, what may be long last.
CREATE TABLE backburner_jobs (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    kind            TEXT    NOT NULL,
    queue           TEXT    NOT NULL,
    state           TEXT    NOT NULL DEFAULT 'pending',
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
    -- Why a running job was asked to be cancelled.
    cancel_reason   TEXT,
    -- Why the job was handed over to be settled, and the node it lapsed on; kept until it is settled.
    recovered_cause TEXT,
    recovered_node  TEXT,
    timeout         INTEGER,
    backoff         INTEGER,
    retry           TEXT,
    -- The job in whose run it was stored; NULL once that let it go. An ended child whose own time has passed is lifted
    -- out of what is to be pruned until then.
    parent          TEXT,
    lifted          INTEGER NOT NULL DEFAULT 0,
    -- Held while the state is one of unique_states (a JSON array), and before unique_until; not at the key's own gate.
    unique_key      TEXT,
    unique_states   TEXT,
    unique_until    INTEGER,
    -- What a run told of itself: that its slot is lent, how far it has come, what the next one is handed.
    lent            INTEGER NOT NULL DEFAULT 0,
    done            INTEGER,
    total           INTEGER,
    tags            TEXT    NOT NULL DEFAULT '[]',
    headers         TEXT,
    reason          TEXT,
    error           TEXT    NOT NULL DEFAULT '',
    message         TEXT    NOT NULL DEFAULT '',
    fingerprint     TEXT    NOT NULL DEFAULT '',
    args            TEXT    NOT NULL,
    checkpoint      TEXT,
    result          TEXT,
    -- One state after the other: a list would be built at every write.
    CHECK (CASE state
        WHEN 'pending' THEN ended_at IS NULL
        WHEN 'running' THEN ended_at IS NULL AND node IS NOT NULL
        WHEN 'completed' THEN ended_at IS NOT NULL
        WHEN 'cancelled' THEN ended_at IS NOT NULL
        WHEN 'dead' THEN ended_at IS NOT NULL
        ELSE FALSE
    END)
) STRICT;

INSERT INTO backburner_jobs (
    seq, id, kind, queue, state, gate, priority, created_at, due_at, expires_at, started_at, ended_at, attempt, failures,
    crashes, interruptions, token, node, cancel, cancel_reason, recovered_cause, recovered_node, timeout, backoff, retry,
    tags, reason, error, message, fingerprint, args, result
)
SELECT
    seq, id, kind, queue, state, gate, priority, created_at, due_at, expires_at, started_at, ended_at, attempt, failures,
    crashes, interruptions, token, node, cancel, iif(state = 'running' AND cancel, 'cancelled', NULL), recovered_cause,
    recovered_node, timeout, backoff, retry, tags, reason, error, message, fingerprint, args, result
FROM backburner_jobs_before;

DROP TABLE backburner_jobs_before;

-- The line of each queue, and its gates: the order in which jobs are claimed.
CREATE INDEX backburner_jobs_line ON backburner_jobs (queue, gate, priority, due_at, id) WHERE state = 'pending';

-- What each node holds.
CREATE INDEX backburner_jobs_held ON backburner_jobs (node) WHERE state = 'running';

-- What expires unless it is started.
CREATE INDEX backburner_jobs_expiring ON backburner_jobs (expires_at)
    WHERE expires_at IS NOT NULL AND state = 'pending';

-- What ended, for its retention, but for what is lifted out.
CREATE INDEX backburner_jobs_ended ON backburner_jobs (state, ended_at) WHERE ended_at IS NOT NULL AND NOT lifted;

-- The children of each parent.
CREATE INDEX backburner_jobs_children ON backburner_jobs (parent) WHERE parent IS NOT NULL;

-- Who holds a key by its state, and who by its time. Those that no longer can, however many, are in neither.
CREATE INDEX backburner_jobs_holding ON backburner_jobs (unique_key, id)
    WHERE unique_key IS NOT NULL AND instr(unique_states, state) > 0 AND gate <> 'unique:' || unique_key;
CREATE INDEX backburner_jobs_keeping ON backburner_jobs (unique_key, unique_until)
    WHERE unique_until IS NOT NULL AND gate <> 'unique:' || unique_key;

-- Who stands at the gate of a key, whatever the queue: the order in which they are let through. Nearly every job stands
-- at a gate that is not so late in the alphabet, which is asked first.
CREATE INDEX backburner_jobs_parked ON backburner_jobs (gate, priority, due_at, id)
    WHERE gate >= 'unique:' AND gate < 'unique;' AND state = 'pending';

ALTER TABLE backburner_nodes ADD COLUMN drain INTEGER NOT NULL DEFAULT 0;
