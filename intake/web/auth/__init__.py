"""Signing in, sessions' cookies, CSRF, re-authentication: who is at the desk."""
