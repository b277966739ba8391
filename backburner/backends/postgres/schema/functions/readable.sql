-- JSON whose texts may all be read: NUL, which no text here can hold, is read as the character after it.
CREATE OR REPLACE FUNCTION {schema}.readable(given text) RETURNS json LANGUAGE sql IMMUTABLE AS $$
    SELECT regexp_replace(given, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\u0001', 'g')::json
$$;
