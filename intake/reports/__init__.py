"""Numbers about the work and their pictures: counts, never persons, and never who on the staff did what."""
