"""What runs by itself: the scheduler, its table of jobs, alerts and the canary submission."""
