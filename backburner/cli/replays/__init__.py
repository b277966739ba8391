"""Replays, purges and imports, on the command line."""
