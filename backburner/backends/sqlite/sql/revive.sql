-- Store cancelled children anew, pending, in place of the old ones, of which history and token stay.
-- :now · :jobs JSON: as insert_linked has it; none has a token
WITH anew (id, job) AS MATERIALIZED (SELECT value ->> 0, value FROM json_each(:jobs))
UPDATE backburner_jobs AS old
SET state = 'pending', node = NULL, created_at = :now, kind = job ->> 1, queue = job ->> 2, args = job ->> 3, priority = job ->> 4,
    due_at = job ->> 5, expires_at = job ->> 6, timeout = job ->> 7, retry = job ->> 8, tags = job -> 9,
    gate = job ->> 10, headers = job ->> 12, parent = job ->> 13, lanes = job ->> 14, unique_key = job ->> 15,
    unique_states = job ->> 16, unique_until = job ->> 17,
    started_at = NULL, ended_at = NULL, attempt = 0, failures = 0, crashes = 0, interruptions = 0, backoff = NULL,
    result = NULL, reason = NULL, error = '', message = '', fingerprint = '', done = NULL, total = NULL,
    checkpoint = NULL, lifted = 0
FROM anew
WHERE old.id = anew.id
