"""When a person may be contacted, and by when contact is promised: pure functions, no database."""
