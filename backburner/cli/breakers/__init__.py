"""Commands about breakers."""
