"""What the engine asks of a backend: small Protocols, one a role, none wider than about five methods.

A store implements the roles and the published contract suite (`backburner.testing.contracts`) proves them: every
sentence of a docstring here has a test there. Stores move rows; they decide nothing. Durations come in and the store
adds them to its own now; every answer carries the store's now. A method raises the errors of the `StoreError` tree and
no other: `StoreBusy` and `StoreUnavailable` may pass by themselves, the rest will not. Every method is one transaction:
a caller that is cancelled leaves either all of it or nothing, and the store as usable as before.
"""
