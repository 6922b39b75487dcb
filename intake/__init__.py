"""The door between a reader and a clinic's intake team."""

__version__ = "0.1.0"
