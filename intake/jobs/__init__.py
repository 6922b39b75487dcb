"""Background jobs: the scheduler, its table of jobs, alerts and the canary submission."""
