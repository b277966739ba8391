(SELECT name, pruned, max(pruned, coalesce((SELECT max(number) FROM backburner_events), 0)) AS last
 FROM backburner_log) AS log
