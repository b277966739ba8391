-- The first due jobs at one gate of a queue, by priority, due time, id, as the claims they would be, and their seqs;
-- before them what an operator set for the queue ([paused, until, slots that this node has left, rate, its meter], NULL
-- without), whether any job of the queue stands at a gate that claims look at (in the alphabet they are behind those of
-- lanes), the kinds that are paused with the ends of their pauses, and when the next lane opens.
-- Naming every priority lets the index answer in order: one probe each, nothing is ever sorted.
-- :queue · :gate (empty: the line) · :now · :limit · :node · :kinds JSON: the only kinds wanted, NULL: any
SELECT
    (SELECT json_array(
         json(iif(paused AND coalesce(paused_until > :now, 1), 'true', 'false')), paused_until,
         slots - (
             SELECT count(*) FROM backburner_jobs
             WHERE state = 'running' AND node = :node AND queue = :queue AND NOT lent),
         json(rate), json_array(mark, count, previous))
     FROM backburner_queues WHERE name = :queue),
    EXISTS (SELECT 1 FROM backburner_jobs WHERE state = 'pending' AND queue = :queue AND gate >= 'misfit:'),
    (SELECT json_group_object(name, paused_until) FROM backburner_kinds WHERE coalesce(paused_until > :now, 1)),
    (SELECT min(opens_at) FROM backburner_lanes WHERE opens_at IS NOT NULL),
    found.claims,
    found.seqs
FROM (
    SELECT
        json_group_array(json_array(
            id, kind, queue, args, priority, attempt + 1, failures, crashes, interruptions, token + 1, timeout, retry,
            backoff, created_at, due_at, expires_at, :now, gate, headers, checkpoint, json(lanes))) AS claims,
        json_group_array(seq) AS seqs
    FROM (
        SELECT
            seq, id, kind, queue, args, priority, attempt, failures, crashes, interruptions, token, timeout, retry,
            backoff, created_at, due_at, expires_at, gate, headers, checkpoint, lanes
        FROM backburner_jobs
        WHERE state = 'pending' AND queue = :queue AND gate = :gate AND due_at <= :now
          AND priority IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
          AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))
        ORDER BY priority, due_at, id
        LIMIT :limit
    )
) AS found
