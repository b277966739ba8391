        CASE
            WHEN state <> 'pending' THEN state
            WHEN failures > 0 THEN 'retrying'
            WHEN due_at <= :now THEN 'waiting'
            ELSE 'scheduled'
        END
