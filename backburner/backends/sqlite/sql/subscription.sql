        json_array(name, json(patterns), kind, ttl, cursor, created_at, seen_at)
