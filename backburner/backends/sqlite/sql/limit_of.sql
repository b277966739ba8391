            (SELECT coalesce(override, declared) FROM backburner_limits
             WHERE name = substr(asked.name, 1, instr(asked.name || '/', '/') - 1))
