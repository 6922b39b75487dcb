"""A process that dies at any statement of any act: nothing is half there, and the next one goes on.

A child process does the act and dies before its Nth statement, after it, or at its commit, for every N
until it gets through. After each death the tables must be whole, the act is done again, and must then have
come true exactly once.
"""

import itertools
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NoReturn

import pytest
from sqlalchemy import event, func, select

from intake import audit
from intake.act import Act
from intake.db.engine import Database
from intake.instance import Instance, load_keyring
from intake.jobs.schedule import link
from intake.leads import key_rotation
from intake.leads.form import Request
from intake.leads.models import CloseReason, Erasure, Lead
from intake.leads.submission import Submitted, submit
from intake.outbox import MessageState, OutboxMessage, sender
from intake.outbox.mailer import MaildirMailer
from intake.privacy import contact_correction, retention, self_service
from intake.privacy.contact_correction import Correction
from tests.cli.test_keys import BOTH
from tests.conftest import MovableClock
from tests.drills.checking import check_whole
from tests.factories import ask, every, request_for

DIED, FAILED = 9, 70
NUMBERS = itertools.count()


@dataclass(frozen=True)
class CrashAct:
    """`prepare` makes what it is done to; `do` is done again after a death; `came_true` says that it was."""

    name: str
    prepare: Callable[[Instance], object]
    do: Callable[[Instance, object], None]
    came_true: Callable[[Instance, object], bool]


def own(instance: Instance) -> dict[str, str]:
    """A number and an address of one's own, so that a stop stops one request."""
    number = next(NUMBERS)
    return {"phone": f"+1{201 + number // 100}55501{number % 100:02}", "email": f"p{number}@example.org"}


def somebody(instance: Instance) -> Submitted:
    return ask(instance, **own(instance))


def lead_of(instance: Instance, asked: Submitted) -> Lead | None:
    with instance.database.reading() as session:
        return session.get(Lead, asked.lead.id)


def send(instance: Instance, request: Request) -> None:
    with instance.database.transaction() as session:
        submit(Act(session, instance), request)


def was_sent(instance: Instance, request: Request) -> bool:
    index = instance.keyring.blind_index("phone", request.phone)
    with instance.database.reading() as session:
        return session.scalar(select(func.count()).where(Lead.phone_index == index)) == 1


def with_code(act: Callable[..., object], **more: object) -> Callable[[Instance, Submitted], None]:
    def do(instance: Instance, asked: Submitted) -> None:
        with instance.database.transaction() as session:
            act(Act(session, instance), code=asked.code, **more)

    return do


def erase(instance: Instance, asked: Submitted) -> None:
    """Whoever erased finds nothing the second time, and that is what they wanted."""
    if lead_of(instance, asked):
        with_code(self_service.erase)(instance, asked)


def due(instance: Instance) -> Submitted:
    asked = somebody(instance)
    with instance.database.transaction() as session:
        session.get_one(Lead, asked.lead.id).purge_after = instance.clock()
    return asked


def deliver(instance: Instance, _: Submitted) -> None:
    sender.deliver_due(
        instance.database,
        MaildirMailer(instance.settings.data_dir / "mail"),
        clinic=instance.clinic,
        settings=instance.settings,
        clock=instance.clock,
        limit=20,
    )


def delivered(instance: Instance, asked: Submitted) -> bool:
    with instance.database.reading() as session:
        rows = session.scalars(select(OutboxMessage).where(OutboxMessage.lead_id == asked.lead.id)).all()
    letters = [
        each["Message-ID"] for each in MaildirMailer(instance.settings.data_dir / "mail").messages(limit=99)
    ]
    copies = [letters.count(f"<{row.id}@example.org>") for row in rows]
    return {row.state for row in rows} == {MessageState.SENT} and set(copies) <= {1, 2}


def is_gone(instance: Instance, asked: Submitted) -> bool:
    gone = [each for each in every(instance, Erasure) if each.lead_id == asked.lead.id]
    return lead_of(instance, asked) is None and len(gone) == 1


NEW_ADDRESS = Correction(
    kind="email", value="new@example.org", channels=["email"], voicemail=False, language="en", statements=""
)


def put_right(instance: Instance, asked: Submitted) -> None:
    correction = replace(NEW_ADDRESS, statements=instance.statements.page_digest("en"))
    with_code(contact_correction.correct, correction=correction)(instance, asked)


def was_put_right(instance: Instance, asked: Submitted) -> bool:
    index = instance.keyring.blind_index("email", NEW_ADDRESS.value)
    found = lead_of(instance, asked)
    return bool(found) and found.email_index == index


def with_a_new_key(instance: Instance) -> Instance:
    return replace(instance, keyring=load_keyring(replace(instance.settings, sealing_keys=BOTH)))


def rotate(instance: Instance, _: Submitted) -> None:
    key_rotation.rotate(with_a_new_key(instance), batch=1)


def all_on_the_new_key(instance: Instance, _: Submitted) -> bool:
    with instance.database.reading() as session:
        return dict(key_rotation.count_rows_by_key(session, with_a_new_key(instance).keyring))["k1"] == 0


def purge(instance: Instance, _: Submitted) -> None:
    retention.purge(instance)


def was_stopped(instance: Instance, asked: Submitted) -> bool:
    found = lead_of(instance, asked)
    return bool(found) and found.close_reason is CloseReason.STOPPED


def is_linked(instance: Instance, _: Submitted) -> bool:
    with instance.database.reading() as session:
        return audit.verify(session, keyring=instance.keyring).unlinked == 0


ACTS = (
    CrashAct("submit", lambda instance: request_for(instance, **own(instance)), send, was_sent),
    CrashAct("deliver", somebody, deliver, delivered),
    CrashAct("stop", somebody, with_code(self_service.stop), was_stopped),
    CrashAct("correct", somebody, put_right, was_put_right),
    CrashAct("erase", somebody, erase, is_gone),
    CrashAct("purge", due, purge, is_gone),
    CrashAct("rotate", somebody, rotate, all_on_the_new_key),
    CrashAct("link", somebody, lambda instance, _: link(instance) and None, is_linked),
)


def dies(instance: Instance, act: CrashAct, subject: object, point: int) -> bool:
    """Do it in a child that dies at this point; False when it got through before."""
    instance.database.close()  # a child must not speak over its parent's connections
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        child = os.fork()
    if not child:
        _live_and_die(instance, act, subject, point)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, DIED), f"{act.name} failed before point {point}"
    return code == DIED


def _live_and_die(instance: Instance, act: CrashAct, subject: object, point: int) -> NoReturn:
    code = FAILED
    try:
        database = Database(instance.settings.database_url, lock=instance.settings.data_dir / "database.lock")
        _strike(database, point)
        act.do(replace(instance, database=database), subject)
        code = 0
    finally:
        os._exit(code)


def _strike(database: Database, point: int) -> None:
    left = iter(range(point, -1, -1))

    def passed(*_: object, **__: object) -> None:
        if next(left) == 0:
            os._exit(DIED)

    for moment in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(database.engine, moment, passed)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_it_may_die_at_any_point(act: CrashAct, instance: Instance, clock: MovableClock) -> None:
    points, died = 0, True
    while died:
        subject = act.prepare(instance)
        died = dies(instance, act, subject, points)
        check_tables(instance)
        clock.move(hours=1)  # the lease of whoever died has run out
        act.do(instance, subject)
        assert act.came_true(instance, subject), f"point {points}"
        points += died
    check_tables(instance)
    assert points > 5


def check_tables(instance: Instance) -> None:
    with instance.database.reading() as session:
        erased = session.scalar(select(func.count()).select_from(Erasure))
        check_whole(session, instance.keyring, erased=erased)
