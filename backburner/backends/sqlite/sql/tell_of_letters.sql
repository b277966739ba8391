-- Store an event about each of these jobs that is dead.
-- :seqs (JSON) · :name · :beside what stands beside kind, queue and attempt (JSON) · :now
-- include told
FROM (SELECT value AS seq, :name AS name, :beside AS beside FROM json_each(:seqs)) AS told
CROSS JOIN backburner_jobs AS job ON job.seq = told.seq
WHERE job.state = 'dead'
