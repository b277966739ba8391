-- Write what is declared of a limit, or set in its place, and what holds then; a limit of neither is forgotten. Where another
-- holds than before, its lanes open where jobs stand; where its rate is another, nothing of that is used.
CREATE OR REPLACE FUNCTION {schema}.set_limit(given {schema}.limits, moment bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    old limits;
    holding json := coalesce(given.override, given.declared);
BEGIN
    SELECT * INTO old FROM limits WHERE name = given.name;
    given.slots := (holding ->> 'slots')::bigint;
    given.rate := to_rate(holding -> 'rate');
    given.deposit := (holding ->> 'deposit')::bigint;
    IF holding IS NULL THEN
        DELETE FROM limits WHERE name = given.name;
    ELSE
        INSERT INTO limits SELECT given.* ON CONFLICT (name) DO UPDATE SET
            declared = excluded.declared, override = excluded.override, set_by = excluded.set_by, reason = excluded.reason,
            slots = excluded.slots, rate = excluded.rate, deposit = excluded.deposit;
    END IF;
    IF (old.slots, old.rate, old.deposit) IS NOT DISTINCT FROM (given.slots, given.rate, given.deposit) THEN
        RETURN;
    END IF;
    -- "0" comes after "/".
    UPDATE lanes SET
        opens_at = CASE WHEN parked THEN moment ELSE opens_at END,
        meter = CASE WHEN (meter).rate <> given.rate::text THEN '(,0,0,0)' ELSE meter END
    WHERE name >= given.name AND name < given.name || '0' AND split_part(name, '/', 1) = given.name
      AND (parked OR (meter).rate <> given.rate::text);
END
$$;
