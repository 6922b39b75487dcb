"""What was agreed to, in which words, and the proof of it."""
