-- Where a job takes turns, as a hash: with those of its queue at the last of its lanes whose limit has one slot; NULL for none.
CREATE OR REPLACE FUNCTION {schema}.turn_of(lanes text[], queue text) RETURNS bigint LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
    RETURN (
        SELECT hashtextextended(asked.lane, hashtextextended(queue, 0)) FROM unnest(lanes) WITH ORDINALITY AS asked (lane, nth)
        WHERE (SELECT slots FROM limits WHERE name = split_part(asked.lane, '/', 1)) = 1
        ORDER BY asked.nth DESC LIMIT 1);
END
$$;
