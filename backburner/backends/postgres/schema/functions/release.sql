-- Let the first at each gate through whose key is free, at most "limit": {"now", "limit", "after", "after_lane"}; and open the
-- lanes that have room for those who stand there. Gates are gone through from the key `after` on, at most a thousand a call, and
-- lanes from `after_lane` on, at most "limit"; answers where the next call begins.
CREATE OR REPLACE FUNCTION {schema}.release(document json) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    most_gates CONSTANT integer := 1000;
    moment bigint := instant((document ->> 'now')::bigint);
    most integer := (document ->> 'limit')::integer;
    at_gate text := 'unique:' || (document ->> 'after');
    at_lane text := 'lane:' || (document ->> 'after_lane');
    released integer := 0;
BEGIN
    FOR nth IN 1 .. most_gates LOOP
        EXIT WHEN released >= most;
        SELECT min(gate) INTO at_gate FROM jobs
        WHERE state = 'pending' AND gate > at_gate AND gate >= 'unique:' AND gate < 'unique;';
        EXIT WHEN at_gate IS NULL;
        released := released + let_through(ARRAY[substr(at_gate, 8)], moment);
    END LOOP;
    FOR nth IN 1 .. most LOOP
        SELECT min(gate) INTO at_lane FROM jobs
        WHERE state = 'pending' AND gate > at_lane AND gate >= 'lane:' AND gate < 'lane;';
        EXIT WHEN at_lane IS NULL;
        released := released + look_again(substr(at_lane, 6), moment)::integer;
    END LOOP;
    RETURN json_build_object(
        'released', released, 'after', coalesce(substr(at_gate, 8), ''), 'after_lane', coalesce(substr(at_lane, 6), ''));
END
$$;
