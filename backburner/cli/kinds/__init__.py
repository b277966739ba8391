"""Commands about kinds."""
