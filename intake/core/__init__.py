"""Modules without dependencies on the rest: clock, errors, languages, logging, paths, durable files."""
