"""Arguments and results to JSON text and back, typed by the annotations of the function they belong to."""
