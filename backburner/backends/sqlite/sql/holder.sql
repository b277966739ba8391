        (SELECT min(id) FROM (
            SELECT * FROM (
                SELECT id FROM backburner_jobs
                WHERE unique_key = asked.key AND unique_key IS NOT NULL AND instr(unique_states, state) > 0
                  AND gate <> 'unique:' || unique_key AND id <> asked.beside
                ORDER BY id LIMIT 1
            )
            UNION ALL
            SELECT id FROM backburner_jobs
            WHERE unique_key = asked.key AND unique_until > :now AND unique_until IS NOT NULL
              AND gate <> 'unique:' || unique_key AND id <> asked.beside
        ))
