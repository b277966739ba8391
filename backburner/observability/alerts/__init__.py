"""Alerts: conditions that nodes watch together in their store, for apps that have nothing else to watch them."""
