"""Jobs in one SQLite file, shared by the processes of one machine.

Writes go through one connection on one thread: whatever waits leaves in one transaction. Reads have a connection of
their own. A node's life is a lock on a file beside the database, which its kernel lets go when it dies.
"""
