"""Statistics, their charts, and the evidence report: counts only, never by person or staff member."""
