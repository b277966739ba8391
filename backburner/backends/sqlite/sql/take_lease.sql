-- Take a lease, or renew it.
-- :name · :holder · :token · :shared · :until
INSERT OR REPLACE INTO backburner_leases (name, holder, token, shared, until)
VALUES (:name, :holder, :token, :shared, :until)
