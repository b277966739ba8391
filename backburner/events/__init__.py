"""Events: published, stored in the step of the change they tell of, handed to handlers, readers and sinks."""
