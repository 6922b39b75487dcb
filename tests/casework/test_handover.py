"""Queries of the hand-over at the end of a shift."""

from intake.accounts.permissions import StaffAct
from intake.casework import queue
from intake.instance import Instance
from tests.factories import ask, hire, take


def test_it_costs_the_same_however_much_is_left(instance: Instance, statements) -> None:
    ana, costs = hire(instance), []
    for many in (range(1, 3), range(3, 13)):
        for place in many:
            lead = ask(instance, phone=f"+13055550{100 + place}", email=f"{place}@example.org").lead
            take(instance, lead, ana)
        with instance.database.reading() as session, statements(instance) as sent:
            queue.handover(StaffAct(session, instance, ana))
        costs.append(len(sent))
    assert costs[0] == costs[1]
