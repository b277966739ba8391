"""Dead letters: looking at them, and bringing them back, deleting and carrying them, as operations that outlive who asked."""
