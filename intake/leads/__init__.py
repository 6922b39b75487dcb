"""A request for a call back, from submission to erasure."""
