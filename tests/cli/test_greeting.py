"""What a terminal says when the clinic is closed: how to try the desk all the same."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from intake.act import Act
from intake.calling.gate import Refusal
from intake.calling.promise import open_now
from intake.cli.run import closed_notice, greeting
from intake.conf.clinic import Channel
from intake.instance import Instance
from intake.leads import eligibility
from tests.conftest import MovableClock
from tests.factories import ask

SATURDAY_NIGHT = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def test_while_the_clinic_is_open_nothing_is_printed(sqlite_instance: Instance) -> None:
    assert closed_notice(sqlite_instance) == []
    assert "Closed now" not in greeting(sqlite_instance.settings, None)


@pytest.mark.parametrize("hours_later", range(0, 120, 7))
def test_the_clock_it_names_opens_the_gate_for_weekday_mornings(
    sqlite_instance: Instance, clock: MovableClock, hours_later: int
) -> None:
    clock.set(SATURDAY_NIGHT + timedelta(hours=hours_later))
    lead = ask(sqlite_instance).lead
    lines = closed_notice(sqlite_instance)
    if open_now(sqlite_instance.clinic, clock(), "en").open:
        assert lines == []
        return
    clock.move(minutes=int(re.search(r"INTAKE_TIME_SHIFT=(\d+)", lines[-1])[1]))
    with sqlite_instance.database.reading() as session:
        verdict = eligibility.verdict(Act(session, sqlite_instance), lead, channel=Channel.CALL)
    assert verdict.allowed
    assert Refusal.CLINIC_CLOSED not in verdict.refusals
