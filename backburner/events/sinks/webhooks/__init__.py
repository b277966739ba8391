"""A webhook's parts: where it may go, how it is signed, what an answer means."""
