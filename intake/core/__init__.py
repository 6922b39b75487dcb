"""Leaves that know nobody: clock, errors, languages, logging, paths, durable files."""
