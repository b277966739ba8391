"""The schema, step by step: one numbered file each, applied once, never changed afterwards."""
