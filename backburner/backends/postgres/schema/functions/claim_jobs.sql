-- Hand due jobs to a node whose lease has been seen to; answers what the port's claim answers, the claims in no order.
-- Rows are locked as they are met; those that others have locked are passed over.
--
-- What was claimed leaves dead entries at the head of the line until the next vacuum, and for as long as somebody's
-- transaction keeps an old snapshot; each look from there walks over all of them. So a node says where it found the last
-- job of each priority (`floors`, by queue), and the claim begins there. What is then missing is looked for from the head,
-- but not unless `walk` is set: a node that saw that take long (`looked`, microseconds) has it done now and then. Who was left
-- in line for a lane that was locked is before the next floors: then (`left`) there are to be none.
--
-- A job with lanes is handed out if none of them refuses it, else parked at the first that does; what it takes is not there
-- for those after it. All lanes of a look at the line are asked for together, once it meets the first job that names any, and
-- kept in arrays by position: an element is changed in place, where a document or a table would be written anew for each job.
--
-- Who passes a lane of one slot though another is before him (`yields`) is parked there, out of the way of those behind him, and
-- is let in after a time. It is longer than that after which a claim that left the other in line, since the lane was locked, asks
-- again: so that one finds nobody there, and the two do not keep one another waiting.
CREATE OR REPLACE FUNCTION {schema}.claim_jobs(request json, asked text[], moment bigint) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    -- Jobs that one claim parks, so that it does not take long.
    most_parked CONSTANT integer := 1000;
    -- Suspects and misfits refused by lanes that it passes over.
    most_passed CONSTANT integer := 50;
    passed_over integer;
    -- Microseconds after which to ask again for what others have locked.
    locked_for CONSTANT bigint := 20000;
    -- Microseconds after which to ask again for what may stand before the floors, or stays at its gate when it is refused.
    unseen_for CONSTANT bigint := 1000000;
    asking text := request ->> 'node';
    known text[] := ARRAY(SELECT json_array_elements_text(request -> 'kinds'));
    -- The kinds that are paused, and the known ones that are not.
    some_rest boolean;
    resting text[];
    willing text[];
    suspect boolean := coalesce((request ->> 'suspect')::boolean, true);
    remaining integer := (request ->> 'limit')::integer;
    floors json := request -> 'floors';
    walk boolean := coalesce((request ->> 'walk')::boolean, true);
    began timestamptz;
    looked interval := '0';
    -- The asked queues that are not paused, the room of each, and whether an operator's slots are what bounds it; the permits
    -- of its rate, where it has one; and how many were taken.
    rooms text[] := '{}';
    free integer[] := '{}';
    limited boolean[] := '{}';
    permitted bigint[] := '{}';
    taken bigint[] := '{}';
    gated text[] := '{}';
    left_over bigint;
    queue_permits bigint;
    -- Where jobs may come from: a room and a gate; the look that first met one there who stays when he is refused: after that one
    -- more sees as many as are passed over, then it is done.
    look integer := 0;
    place_rooms integer[] := '{}';
    place_gates text[] := '{}';
    place_refused integer[];
    place_done boolean[];
    capped text[] := '{}';
    wake bigint;
    claims json[] := '{}';
    ids text[];
    gates text[];
    turned_away text[];
    new_gates text[];
    gate_to text;
    parked jsonb := '{}';
    number_parked integer := 0;
    -- How far the next look reaches, however few fit.
    reach integer := 0;
    more boolean := false;
    again boolean;
    each record;
    -- Lanes by position, and what `ask_lanes` tells of them, less what was taken.
    places_of_lanes jsonb := '{}';
    lanes_asked boolean;
    lane_names text[] := '{}';
    lane_locked boolean[] := '{}';
    lane_slots bigint[] := '{}';
    lane_permits bigint[] := '{}';
    lane_deposits bigint[] := '{}';
    lane_marks bigint[] := '{}';
    lane_steps bigint[] := '{}';
    lane_reserves bigint[] := '{}';
    -- How many permits were taken, whether jobs were parked there, and whether it was a permit that they were short of; and
    -- when to open it again, since it had room for one who was parked.
    lane_taken bigint[] := '{}';
    lane_parked boolean[] := '{}';
    lane_short boolean[] := '{}';
    lane_opens bigint[] := '{}';
    may_judge boolean;
    yielding boolean;
    left_in_line boolean := false;
    lane text;
    at integer;
    passed integer[];
    held_lanes text[] := '{}';
    held_jobs text[] := '{}';
    -- When the next lane opens.
    opening bigint;
    let_in integer;
    opens_more boolean := false;
BEGIN
    -- Two probes, and that is all where nobody uses either.
    SELECT (SELECT true FROM kinds LIMIT 1), (SELECT min(opens_at) FROM lanes WHERE opens_at IS NOT NULL)
    INTO some_rest, opening;
    willing := known;
    IF some_rest THEN
        SELECT coalesce(array_agg(name), '{}'), min(paused_until) FILTER (WHERE name = ANY (known)) INTO resting, wake
        FROM kinds WHERE coalesce(paused_until > moment, true);
        willing := ARRAY(SELECT kind FROM unnest(known) AS kind WHERE kind <> ALL (resting));
    END IF;
    IF opening <= moment THEN
        may_judge := judging();
        IF may_judge THEN
            SELECT o.let_in, o.more INTO let_in, opens_more FROM open_lanes(moment) AS o;
            IF let_in > 0 THEN
                -- They stand before the floors.
                floors := NULL;
            END IF;
        END IF;
    END IF;
    FOR each IN
        SELECT
            asked.key AS name, asked.value::integer AS slots,
            coalesce(s.paused AND coalesce(s.paused_until > moment, true), false) AS paused, s.paused_until,
            s.slots AS allowed, s.rate,
            -- Beyond the gates of lanes, where nobody is looked at.
            (SELECT true FROM jobs AS j
             WHERE j.state = 'pending' AND j.queue = asked.key AND j.gate > 'lane;' LIMIT 1) AS gated
        FROM json_each_text(request -> 'queues') AS asked
        LEFT JOIN queues AS s ON s.name = asked.key
        WHERE asked.value::integer > 0
    LOOP
        IF each.paused THEN
            wake := least(wake, each.paused_until);
            CONTINUE;
        END IF;
        left_over := NULL;
        IF each.allowed IS NOT NULL THEN
            IF NOT counting(asking, each.name) THEN
                wake := least(wake, moment + locked_for);
                CONTINUE;
            END IF;
            left_over := each.allowed - (
                SELECT count(*) FROM jobs AS j
                WHERE j.state = 'running' AND j.node = asking AND j.queue = each.name AND NOT j.lent);
        END IF;
        IF left_over <= 0 THEN
            capped := capped || each.name;
            CONTINUE;
        END IF;
        queue_permits := NULL;
        IF each.rate IS NOT NULL THEN
            SELECT permits(q.rate, q.meter, moment) INTO queue_permits
            FROM queues AS q WHERE q.name = each.name FOR UPDATE SKIP LOCKED;
            IF NOT FOUND THEN
                wake := least(wake, moment + locked_for);
                CONTINUE;
            END IF;
        END IF;
        rooms := rooms || each.name;
        free := free || least(each.slots, left_over, queue_permits)::integer;
        limited := limited || coalesce(left_over < each.slots AND (left_over <= queue_permits) IS NOT FALSE, false);
        permitted := permitted || queue_permits;
        taken := taken || 0::bigint;
        place_rooms := place_rooms || cardinality(rooms);
        place_gates := place_gates || ''::text;
        IF each.gated THEN
            gated := gated || each.name;
        END IF;
    END LOOP;
    IF cardinality(gated) > 0 THEN
        FOR each IN SELECT * FROM open_gates(gated, willing, request -> 'signatures', suspect) LOOP
            place_rooms := place_rooms || array_position(rooms, each.queue);
            place_gates := place_gates || each.gate;
        END LOOP;
    END IF;
    place_done := array_fill(false, ARRAY[cardinality(place_rooms)]);
    place_refused := array_fill(NULL::integer, ARRAY[cardinality(place_rooms)]);
    again := remaining > 0 AND cardinality(place_rooms) > 0;
    WHILE again LOOP
        again := false;
        look := look + 1;
        passed_over := 0;
        ids := '{}';
        gates := '{}';
        turned_away := '{}';
        new_gates := '{}';
        lanes_asked := false;
        began := clock_timestamp();
        -- One more than fits tells whether there is more; once some were turned away, each look reaches twice as far.
        FOR each IN
            WITH due AS MATERIALIZED (
                SELECT
                    place.room, place.gate, place.nth AS place, due.*,
                    due.nth = count(*) OVER (PARTITION BY place.nth) AND due.nth = asked.number AS cut
                FROM unnest(place_rooms, place_gates) WITH ORDINALITY AS place (room, gate, nth)
                CROSS JOIN LATERAL (SELECT greatest(
                    least(free[place.room], remaining) + 1, reach,
                    CASE WHEN place_refused[place.nth] IS NOT NULL THEN most_passed END)) AS asked (number)
                CROSS JOIN LATERAL due_at_gate(
                    rooms[place.room], place.gate, asked.number,
                    CASE WHEN place.gate = 'suspect' THEN willing END,
                    CASE WHEN place.gate = '' THEN floors -> rooms[place.room] END, moment
                ) WITH ORDINALITY AS due (id, kind, priority, due_at, lanes, attempt, failures, nth)
                WHERE (free[place.room] > 0 OR NOT limited[place.room] AND (permitted[place.room] <= 0) IS NOT TRUE)
                  AND (place.gate <> 'suspect' OR suspect) AND NOT place_done[place.nth]
            )
            SELECT
                due.*,
                CASE WHEN due.lanes IS NOT NULL THEN
                    (SELECT array_agg(DISTINCT l) FROM due AS d CROSS JOIN LATERAL unnest(d.lanes) AS l) END AS all_lanes,
                CASE WHEN due.lanes IS NOT NULL THEN
                    (SELECT array_agg(DISTINCT l) FROM due AS d CROSS JOIN LATERAL unnest(d.lanes) AS l WHERE d.failures > 0)
                    END AS all_failed
            FROM due
            ORDER BY due.priority, due.due_at, due.id
        LOOP
            CONTINUE WHEN each.gate = 'suspect' AND NOT suspect;
            CONTINUE WHEN passed_over >= most_passed AND (each.gate = 'suspect' OR each.gate LIKE 'misfit:%');
            IF remaining <= 0 OR free[each.room] <= 0 THEN
                -- What an operator's slots hold back waits for one of this node's own runs to end, what a rate does for a permit.
                more := more OR NOT (free[each.room] <= 0 AND (limited[each.room] OR coalesce(permitted[each.room] <= 0, false)));
                EXIT WHEN remaining <= 0 AND more;
                CONTINUE;
            END IF;
            gate_to := CASE
                WHEN each.kind = ANY (willing) THEN NULL
                WHEN each.kind = ANY (known) THEN 'paused:' || each.kind
                ELSE 'unknown:' || each.kind END;
            IF each.lanes IS NOT NULL AND gate_to IS NULL THEN
                IF NOT lanes_asked THEN
                    lanes_asked := true;
                    may_judge := coalesce(may_judge, judging());
                    SELECT
                        lane_names || array_agg(a.lane), lane_locked || array_agg(a.locked),
                        lane_slots || array_agg(a.slots), lane_permits || array_agg(a.permits),
                        lane_deposits || array_agg(a.deposit), lane_marks || array_agg(a.mark),
                        lane_steps || array_agg(a.step), lane_reserves || array_agg(a.reserve),
                        lane_taken || array_agg(0::bigint), lane_parked || array_agg(false), lane_short || array_agg(false),
                        lane_opens || array_agg(NULL::bigint)
                    INTO
                        lane_names, lane_locked, lane_slots, lane_permits, lane_deposits, lane_marks, lane_steps, lane_reserves,
                        lane_taken, lane_parked, lane_short, lane_opens
                    FROM ask_lanes(
                        ARRAY(SELECT unnest(each.all_lanes) EXCEPT SELECT unnest(lane_names)), each.all_failed, may_judge, moment
                    ) AS a;
                    SELECT coalesce(jsonb_object_agg(l.name, l.nth), '{}') INTO places_of_lanes
                    FROM unnest(lane_names) WITH ORDINALITY AS l (name, nth);
                END IF;
                passed := '{}';
                yielding := false;
                FOREACH lane IN ARRAY each.lanes LOOP
                    at := (places_of_lanes ->> lane)::integer;
                    CONTINUE WHEN at IS NULL;
                    IF NOT lane_locked[at] THEN
                        gate_to := '';
                    ELSIF lane_slots[at] <= 0 OR lane_permits[at] <= 0 OR each.failures > 0 AND lane_deposits[at] IS NOT NULL
                        AND moment + lane_reserves[at] - greatest(lane_marks[at], moment) < lane_steps[at]
                    THEN
                        gate_to := 'lane:' || lane;
                    ELSIF lane_slots[at] = 1 AND yields(
                        lane, rooms[each.room], each.kind, each.priority, each.due_at, each.id, ids || turned_away)
                    THEN
                        gate_to := 'lane:' || lane;
                        yielding := true;
                        lane_opens[at] := least(lane_opens[at], moment + 2 * locked_for);
                        -- The other may stand before the floors.
                        left_in_line := true;
                    ELSE
                        passed := passed || at;
                    END IF;
                    EXIT WHEN gate_to IS NOT NULL;
                END LOOP;
                IF gate_to = '' THEN
                    -- Left where it is, since somebody else judges by that lane just now.
                    left_in_line := true;
                    CONTINUE;
                ELSIF gate_to IS NULL THEN
                    FOREACH at IN ARRAY passed LOOP
                        IF lane_slots[at] IS NOT NULL THEN
                            lane_slots[at] := lane_slots[at] - 1;
                            held_lanes := held_lanes || lane_names[at];
                            held_jobs := held_jobs || each.id;
                        END IF;
                        IF lane_permits[at] IS NOT NULL THEN
                            lane_permits[at] := lane_permits[at] - 1;
                            lane_taken[at] := lane_taken[at] + 1;
                        ELSIF each.failures > 0 THEN
                            lane_marks[at] := greatest(lane_marks[at], moment) + lane_steps[at];
                        END IF;
                        IF each.attempt = 0 AND lane_deposits[at] IS NOT NULL THEN
                            lane_marks[at] := greatest(0, lane_marks[at] - lane_deposits[at]);
                        END IF;
                    END LOOP;
                ELSIF each.gate = 'suspect' OR each.gate LIKE 'misfit:%' THEN
                    passed_over := passed_over + 1;
                    place_refused[each.place] := coalesce(place_refused[each.place], look);
                    IF place_refused[each.place] < look THEN
                        place_done[each.place] := true;
                    ELSE
                        again := again OR each.cut;
                    END IF;
                    CONTINUE;
                ELSE
                    lane_parked[at] := true;
                    lane_short[at] := lane_short[at] OR NOT yielding AND (lane_slots[at] <= 0) IS NOT TRUE;
                    FOREACH at IN ARRAY passed LOOP
                        lane_opens[at] := moment;
                    END LOOP;
                END IF;
            END IF;
            IF gate_to IS NULL THEN
                suspect := suspect AND each.gate <> 'suspect';
                ids := ids || each.id;
                gates := gates || each.gate;
                free[each.room] := free[each.room] - 1;
                permitted[each.room] := permitted[each.room] - 1;
                taken[each.room] := taken[each.room] + 1;
                remaining := remaining - 1;
            ELSE
                turned_away := turned_away || each.id;
                new_gates := new_gates || gate_to;
                IF gate_to LIKE 'unknown:%' THEN
                    parked := jsonb_set(
                        parked, ARRAY[each.kind], to_jsonb(coalesce((parked ->> each.kind)::integer, 0) + 1));
                END IF;
                number_parked := number_parked + 1;
                IF number_parked >= most_parked THEN
                    more := true;
                    EXIT;
                END IF;
            END IF;
            IF each.cut THEN
                -- All that was looked at there is dealt with, and what comes next was not seen.
                again := true;
                EXIT;
            END IF;
        END LOOP;
        looked := looked + (clock_timestamp() - began);
        IF cardinality(ids) > 0 THEN
            claims := claims || hand_over(ids, gates, asking, asked, moment);
        END IF;
        IF cardinality(turned_away) > 0 THEN
            UPDATE jobs AS j SET gate = away.gate
            FROM unnest(turned_away, new_gates) AS away (id, gate) WHERE j.id = away.id;
            reach := least(most_parked, 2 * greatest(reach, cardinality(turned_away)));
        END IF;
        IF walk AND floors IS NOT NULL AND remaining > 0 AND NOT more THEN
            again := true;
            floors := NULL;
            looked := '0';
        END IF;
    END LOOP;
    IF cardinality(held_jobs) > 0 THEN
        INSERT INTO held (lane, job) SELECT * FROM unnest(held_lanes, held_jobs) ON CONFLICT DO NOTHING;
    END IF;
    IF cardinality(lane_names) > 0 THEN
        opens_more := keep_lanes(
            lane_names, lane_taken, lane_marks, lane_parked, lane_short, lane_opens, moment) OR opens_more;
    END IF;
    IF cardinality(array_remove(permitted, NULL)) > 0 THEN
        UPDATE queues AS q SET meter = spent(q.rate, q.meter, moment, room.taken)
        FROM unnest(rooms, permitted, taken) AS room (name, permitted, taken)
        WHERE q.name = room.name AND room.permitted IS NOT NULL AND room.taken > 0;
    END IF;
    more := more OR opens_more;
    IF NOT more THEN
        IF opening <= moment OR cardinality(lane_names) > 0 THEN
            opening := (SELECT min(opens_at) FROM lanes WHERE opens_at IS NOT NULL);
        END IF;
        wake := least(wake, CASE WHEN opening <= moment THEN moment + locked_for ELSE opening END);
        began := clock_timestamp();
        FOR each IN
            SELECT
                next_due(
                    rooms[place.room], place.gate, CASE WHEN place.gate = 'suspect' THEN willing END,
                    CASE WHEN place.gate = '' THEN floors -> rooms[place.room] END) AS due,
                CASE WHEN permitted[place.room] IS NOT NULL THEN (
                    SELECT next_permit(q.rate, q.meter, moment) FROM queues AS q WHERE q.name = rooms[place.room]) END AS permit,
                place_refused[place.nth] IS NOT NULL AS done
            FROM unnest(place_rooms, place_gates) WITH ORDINALITY AS place (room, gate, nth)
            WHERE (free[place.room] > 0 OR NOT limited[place.room]) AND (place.gate <> 'suspect' OR suspect)
        LOOP
            wake := least(wake, CASE
                WHEN each.due > moment THEN greatest(each.due, each.permit)
                WHEN each.due IS NOT NULL AND each.permit > moment THEN each.permit
                WHEN each.due IS NOT NULL AND each.done THEN moment + unseen_for
                WHEN each.due IS NOT NULL THEN moment + locked_for END);
        END LOOP;
        looked := looked + (clock_timestamp() - began);
        IF floors IS NOT NULL THEN
            wake := least(wake, moment + unseen_for);
        END IF;
        IF left_in_line THEN
            wake := least(wake, moment + locked_for);
        END IF;
    END IF;
    RETURN json_build_object(
        'now', moment, 'claims', to_json(claims), 'parked', parked, 'left', left_in_line,
        'looked', CASE WHEN floors IS NULL THEN (extract(epoch FROM looked) * 1000000)::bigint END,
        'wait', CASE WHEN more THEN 0 WHEN wake IS NOT NULL THEN greatest(0, wake - moment) END,
        'capped', capped || ARRAY(
            SELECT name FROM unnest(rooms, free, limited) AS room (name, free, limited)
            WHERE room.limited AND room.free <= 0));
END
$$;
