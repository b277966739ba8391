"""The store, live."""
