"""The stores: one folder each, blind to each other."""
