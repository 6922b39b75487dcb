"""The desk's work on leads: queue, lead page, outcomes, undo, assignment, search."""
