"""May we contact this person now, when next, and by when have we promised to: pure functions, no database."""
