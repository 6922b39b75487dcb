"""Sealing, hashing and signing; rate limits."""
