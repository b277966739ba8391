"""Jobs in PostgreSQL, shared by the processes of any number of machines.

Every verb is one function of the store's schema, called in one round trip: a transaction never spans two. Several short
connections carry them; a node's life is a lease in a table, by the server's clock.
"""
