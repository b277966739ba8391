-- Have a lease that is not over end at another moment.
-- :name · :holder · :token · :until · :now
UPDATE backburner_leases SET until = :until
WHERE name = :name AND holder = :holder AND token = :token AND until > :now
