"""Where events are sent: each sink a file, and what webhooks are made of a folder."""
