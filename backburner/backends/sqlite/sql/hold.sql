-- Count runs against the slots of lanes.
-- :held JSON: [lane, job] a run and lane
INSERT OR IGNORE INTO backburner_held (lane, job) SELECT value ->> 0, value ->> 1 FROM json_each(:held)
