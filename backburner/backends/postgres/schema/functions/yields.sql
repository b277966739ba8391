-- Whether a due job that a lane of one slot lets pass is to let another pass first: one before it, of its queue and priority,
-- that takes turns there, and stands where a claim takes it from or is let in from, but for those (`decided`) that this claim
-- has decided about. A claim comes to the later one first where somebody has the row of the earlier one locked, or floors hide
-- it; it sees that one all the same, and nobody hands it out meanwhile, since this claim has the lane locked.
-- One probe a gate, however many stand there: the order that is asked for, and queues that are not compared plainly, keep it
-- from going along the line.
CREATE OR REPLACE FUNCTION {schema}.yields(
    lane text, asked_queue text, asked_kind text, at_priority smallint, due bigint, asked_id text, decided text[]
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN coalesce((
        SELECT true
        FROM unnest(ARRAY['', 'lane:' || lane, 'paused:' || asked_kind, 'unknown:' || asked_kind]) AS asked (gate)
        CROSS JOIN LATERAL (
            SELECT FROM jobs AS j
            WHERE j.state = 'pending' AND j.turn = hashtextextended(lane, hashtextextended(asked_queue, 0))
              AND j.turn IS NOT NULL AND j.gate = asked.gate AND j.priority = at_priority
              AND (j.due_at, j.id) < (due, asked_id)
              AND lane = ANY (j.lanes) AND j.queue || '' = asked_queue AND j.id <> ALL (decided)
            ORDER BY j.due_at, j.id LIMIT 1
        ) AS earlier
        LIMIT 1), false);
END
$$;
