"""The statements: one verb each, its contract in the file's first lines."""
