-- What children, unique keys, notes of runs, headers, reasons of cancellation and drains need.

ALTER TABLE backburner_jobs ADD COLUMN headers TEXT;

-- The job in whose run it was stored; NULL once that let it go. An ended child whose own time has passed is lifted out of
-- what is to be pruned until then.
ALTER TABLE backburner_jobs ADD COLUMN parent TEXT;
ALTER TABLE backburner_jobs ADD COLUMN lifted INTEGER NOT NULL DEFAULT 0;

-- Held while the state is one of unique_states (a JSON array), and before unique_until; not at the key's own gate.
ALTER TABLE backburner_jobs ADD COLUMN unique_key TEXT;
ALTER TABLE backburner_jobs ADD COLUMN unique_states TEXT;
ALTER TABLE backburner_jobs ADD COLUMN unique_until INTEGER;

-- What a run told of itself: how far it has come, what the next one is handed, and that its slot is lent.
ALTER TABLE backburner_jobs ADD COLUMN done INTEGER;
ALTER TABLE backburner_jobs ADD COLUMN total INTEGER;
ALTER TABLE backburner_jobs ADD COLUMN checkpoint TEXT;
ALTER TABLE backburner_jobs ADD COLUMN lent INTEGER NOT NULL DEFAULT 0;

-- Why a running job was asked to be cancelled.
ALTER TABLE backburner_jobs ADD COLUMN cancel_reason TEXT;
UPDATE backburner_jobs SET cancel_reason = 'cancelled' WHERE state = 'running' AND cancel;

-- What ended, for its retention, but for what is lifted out.
DROP INDEX backburner_jobs_ended;
CREATE INDEX backburner_jobs_ended ON backburner_jobs (state, ended_at) WHERE ended_at IS NOT NULL AND NOT lifted;

-- The children of each parent.
CREATE INDEX backburner_jobs_children ON backburner_jobs (parent) WHERE parent IS NOT NULL;

-- Who holds a key by its state, and who by its time. Those that no longer can, however many, are in neither.
CREATE INDEX backburner_jobs_holding ON backburner_jobs (unique_key, id)
    WHERE unique_key IS NOT NULL AND instr(unique_states, state) > 0 AND gate <> 'unique:' || unique_key;
CREATE INDEX backburner_jobs_keeping ON backburner_jobs (unique_key, unique_until)
    WHERE unique_until IS NOT NULL AND gate <> 'unique:' || unique_key;

-- Who stands at the gate of a key, whatever the queue: the order in which they are let through.
CREATE INDEX backburner_jobs_parked ON backburner_jobs (gate, priority, due_at, id)
    WHERE state = 'pending' AND gate >= 'unique:' AND gate < 'unique;';

ALTER TABLE backburner_nodes ADD COLUMN drain INTEGER NOT NULL DEFAULT 0;
