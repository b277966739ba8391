INSERT INTO backburner_events (time, name, subject, data)
SELECT
    :now, told.name, job.id,
    json_patch(json_object('kind', job.kind, 'queue', job.queue, 'attempt', job.attempt), told.beside)
