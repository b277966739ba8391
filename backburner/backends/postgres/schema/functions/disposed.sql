-- What became of letters, as the port answers it; an operation counts it too.
CREATE OR REPLACE FUNCTION {schema}.disposed(
    operation json, number_done integer, missed text[], kept jsonb, busy text[], moment bigint
) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    UPDATE operations AS o SET
        done = o.done + number_done, missed = o.missed + cardinality(disposed.missed),
        kept = o.kept + (SELECT count(*) FROM jsonb_object_keys(disposed.kept))
    WHERE o.id = operation ->> 'id';
    RETURN json_build_object('now', moment, 'missed', missed, 'kept', kept, 'busy', busy);
END
$$;
