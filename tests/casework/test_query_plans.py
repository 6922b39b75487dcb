"""The queue's statements are answered from an index, in its order, however many leads there are."""

from collections.abc import Callable

import pytest
from sqlalchemy import event, text

from intake.accounts.permissions import StaffAct
from intake.audit.service import PageStart
from intake.casework import queue, search
from intake.casework.queue import ClaimedBy, QueueFilters, Show
from intake.instance import Instance
from tests.factories import PHONE, ask, hire

PAGES = {
    "ix_lead_waiting": {},
    "ix_lead_status_promise_at_id": {"show": Show.BOOKED},
    "ix_lead_status_closed_at_id": {"show": Show.CLOSED},
    "ix_lead_claimed_until": {"claimed": ClaimedBy.ME},
}


def plans(instance: Instance, act: Callable[..., object]) -> list[str]:
    """How the database would answer each statement about leads that `act` sends."""
    sent: list[tuple[str, object]] = []

    def collect(connection, cursor, statement, parameters, context, executemany) -> None:
        if "FROM lead" in statement:
            sent.append((statement, parameters))

    event.listen(instance.database.engine, "before_cursor_execute", collect)
    with instance.database.transaction() as session:
        act(session)
        event.remove(instance.database.engine, "before_cursor_execute", collect)
        if not instance.database.sqlite:  # so few rows would be read through, whatever index there is
            session.execute(text("SET LOCAL enable_seqscan = off"))
            session.execute(text("SET LOCAL enable_bitmapscan = off"))
            session.execute(text("SET LOCAL enable_sort = off"))
        explain = "EXPLAIN QUERY PLAN " if instance.database.sqlite else "EXPLAIN "
        raw = session.connection()
        return [
            "\n".join(str(row[-1]) for row in raw.exec_driver_sql(explain + words, values))
            for words, values in sent
        ]


@pytest.mark.parametrize("index", PAGES)
@pytest.mark.parametrize("further", [False, True], ids=["first", "next"])
def test_a_page_is_read_from_an_index_and_not_sorted(
    instance: Instance, index: str, *, further: bool
) -> None:
    lead, ana = ask(instance).lead, hire(instance)
    after = PageStart(lead.promise_at, lead.id) if further else None

    def act(session) -> None:
        queue.page(StaffAct(session, instance, ana), filters=QueueFilters(**PAGES[index]), after=after)

    rows = plans(instance, act)[0]
    assert index in rows
    if index != "ix_lead_claimed_until":
        assert "TEMP B-TREE" not in rows
        assert "Sort" not in rows
    if further and index != "ix_lead_claimed_until" and instance.database.sqlite:
        assert "promise_at>?" in rows or "closed_at<?" in rows


def test_somebody_is_found_through_an_index(instance: Instance) -> None:
    ask(instance)
    ana = hire(instance)
    for term, index in ((PHONE, "ix_lead_phone_index"), ("ABCD EFGH", "reference")):
        seen = plans(
            instance,
            lambda session, term=term: search.find(StaffAct(session, instance, ana), term=term),
        )
        assert index in seen[0]
        assert "SCAN lead" not in seen[0]


def test_the_hand_over_reads_through_indexes(instance: Instance) -> None:
    ask(instance)
    ana = hire(instance)
    seen = plans(instance, lambda session: queue.handover(StaffAct(session, instance, ana)))
    assert not [each for each in seen if "SCAN lead" in each and "INDEX" not in each]
    assert not [each for each in seen if "Seq Scan on lead" in each]
    wanted = (
        "ix_lead_claimed_until",
        "ix_lead_looked_at",
        "ix_lead_status_promise_at_id",
        "ix_lead_status_promise_at_id",
    )
    for index, plan in zip(wanted, seen, strict=False):
        assert index in plan or not instance.database.sqlite
