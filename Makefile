# Forwards only. `exec` leaves no shell between make and the service, so that stopping one stops all.
PYTHON ?= python3

.PHONY: run test check

run:
	@exec $(PYTHON) dev run

test:
	@exec $(PYTHON) dev test

check:
	@exec $(PYTHON) dev check
