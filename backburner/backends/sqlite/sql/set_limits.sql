-- Write limits, in place of those of their names.
-- :limits JSON: [name, declared, override, set_by, reason] a limit
INSERT OR REPLACE INTO backburner_limits (name, declared, override, set_by, reason)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(:limits)
