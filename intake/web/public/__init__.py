"""Pages for the person asking: no cookie, no session."""
