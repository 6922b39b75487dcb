"""Every setting, every secret and the clinic's own file."""
