-- A schedule as it is read: the order of the fields is the model's.
CREATE OR REPLACE FUNCTION {schema}.schedule_of(schedule {schema}.schedules) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT json_build_array(
        schedule.name, schedule.version, schedule.kind, schedule.rule, schedule.job, schedule.declared, schedule.retired,
        schedule.next_tick, schedule.due_at, schedule.last_tick, schedule.fired_at, schedule.last_job, schedule.paused,
        schedule.paused_until, schedule.reason, schedule.set_by, schedule.created_at, schedule.changed_at)
$$;
