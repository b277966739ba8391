"""What the engine tells, for people and their tools: it hears signals and touches no loop."""
