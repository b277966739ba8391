-- Who holds a unique key beside one job: the smallest id, where several do; NULL where nobody does.
CREATE OR REPLACE FUNCTION {schema}.holder(asked text, beside text, moment bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    by_state text;
    by_time text;
BEGIN
    SELECT id INTO by_state FROM jobs
    WHERE unique_key = asked AND unique_key IS NOT NULL AND state = ANY (unique_states)
      AND gate <> 'unique:' || unique_key AND id <> beside
    ORDER BY id LIMIT 1;
    -- The fence keeps the least id from being looked for along all ids.
    SELECT min(id) INTO by_time FROM (
        SELECT id FROM jobs
        WHERE unique_key = asked AND unique_until > moment AND unique_until IS NOT NULL
          AND gate <> 'unique:' || unique_key AND id <> beside
        OFFSET 0
    ) AS holding;
    RETURN least(by_state, by_time);
END
$$;
