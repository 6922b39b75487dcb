# Forwards only. `exec` leaves no shell between make and the service, so that stopping one stops all.
PYTHON ?= python3

.PHONY: run test drills check

run:
	@exec $(PYTHON) dev run

test:
	@exec $(PYTHON) dev test

drills:
	@exec $(PYTHON) dev drills

check:
	@exec $(PYTHON) dev check
