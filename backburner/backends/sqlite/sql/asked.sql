-- What subscriptions ask for: the patterns of each.
SELECT json_group_array(json(patterns)) FROM backburner_subscriptions
