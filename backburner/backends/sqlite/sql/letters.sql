-- Those of these jobs that are dead: [id, seq, token, unique key it would hold as pending, parent that has not ended].
-- :ids (JSON) · :now
SELECT json_group_array(json_array(
    id, seq, token,
    iif(instr(unique_states, 'pending') > 0 OR unique_until > :now, unique_key, NULL),
    (SELECT id FROM backburner_jobs WHERE id = letter.parent AND ended_at IS NULL)))
FROM backburner_jobs AS letter
WHERE state = 'dead' AND id IN (SELECT value FROM json_each(:ids))
