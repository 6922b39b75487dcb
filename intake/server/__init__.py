"""Processes: the WSGI server and the supervisor of its workers."""
