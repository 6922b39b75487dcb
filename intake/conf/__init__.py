"""Settings, secrets, and the clinic's configuration file."""
