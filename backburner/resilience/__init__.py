"""What keeps trouble small: the one backoff calculator and the retry policies built on it."""
