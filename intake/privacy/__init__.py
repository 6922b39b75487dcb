"""The person's rights and the privacy officer's duties: self-service, export, retention, holds, erasure."""
