"""Commands about the store's schema."""
