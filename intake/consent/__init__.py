"""Consent: statements, the answers to them, receipts, and the proof of both."""
