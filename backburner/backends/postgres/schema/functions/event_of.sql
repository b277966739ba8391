-- An event as it is read: the order of the fields is the model's.
CREATE OR REPLACE FUNCTION {schema}.event_of(e {schema}.events) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_array(e.number, e.id, e.name, e.subject, e.time, e.data)
$$;
