-- The first due jobs at one gate of a queue, by priority, due time, id, as the claims they would be, and their seqs;
-- before them what an operator set for the queue ([paused, until, slots that this node has left], NULL without), and
-- whether any job of the queue stands at a gate.
-- Naming every priority lets the index answer in order: one probe each, nothing is ever sorted.
-- ?1 queue · ?2 gate (empty: the line) · ?3 now · ?4 limit · ?5 node · ?6 JSON: the only kinds wanted, NULL: any
SELECT
    (SELECT json_array(
         json(iif(paused AND coalesce(paused_until > ?3, 1), 'true', 'false')), paused_until,
         slots - (SELECT count(*) FROM backburner_jobs WHERE state = 'running' AND node = ?5 AND queue = ?1))
     FROM backburner_queues WHERE name = ?1),
    EXISTS (SELECT 1 FROM backburner_jobs WHERE state = 'pending' AND queue = ?1 AND gate > ''),
    found.claims,
    found.seqs
FROM (
    SELECT
        json_group_array(json_array(
            id, kind, queue, args, priority, attempt + 1, failures, crashes, interruptions, token + 1, timeout, retry,
            backoff, created_at, due_at, expires_at, ?3)) AS claims,
        json_group_array(seq) AS seqs
    FROM (
        SELECT * FROM backburner_jobs
        WHERE state = 'pending' AND queue = ?1 AND gate = ?2 AND due_at <= ?3
          AND priority IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
          AND (?6 IS NULL OR kind IN (SELECT value FROM json_each(?6)))
        ORDER BY priority, due_at, id
        LIMIT ?4
    )
) AS found
