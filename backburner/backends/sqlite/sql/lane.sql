            asked.name,
            json(
-- include limit_of
            ),
            (SELECT count(*) FROM backburner_held WHERE lane = asked.name),
            coalesce(lane.mark, 0), coalesce(lane.count, 0), coalesce(lane.previous, 0), lane.metered,
            coalesce(lane.full_at, 0), lane.opens_at,
-- include in_lane
