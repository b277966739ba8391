"""The store in Redis or Valkey: on one server, behind sentinels, or on one node of a cluster."""
