        CASE
            WHEN state <> 'pending' THEN state
            WHEN failures > 0 THEN 'retrying'
            WHEN due_at <= (SELECT now FROM clock) THEN 'waiting'
            ELSE 'scheduled'
        END
