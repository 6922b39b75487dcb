"""Proof that the door still opens: the real way of a request, taken back, and one real mail a day.

What is wrong here would otherwise be noticed by the person whose request was refused.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sqlalchemy import func, select

from intake import outbox
from intake.calling.hours import Window
from intake.conf.clinic import Channel
from intake.core.i18n import LANGUAGES
from intake.instance import Instance
from intake.leads import form, form_token
from intake.leads.submission import submit
from intake.monitoring.response_time_checks import HEARTBEAT
from intake.outbox import Mail, OutboxMessage

ROUND = HEARTBEAT
DAY = timedelta(days=1)
_READING = timedelta(minutes=1)
_ANSWERS: Mapping[str, Sequence[str]] = {
    "preferred_name": ["Heartbeat"],
    "channels": [Channel.EMAIL.value],
    "email": ["heartbeat@example.org"],
    "windows": [Window.ANY.value],
    "adult": [form.YES],
    "consent_use": [form.YES],
}


class _RolledBack(Exception):
    """Ends the transaction so that nothing of it stays."""


def canary_submission(instance: Instance) -> int:
    """Read, check, seal and write one request in each language, and take it back. Nothing is ever kept.

    Raises whatever would have met a person. Returns how many ways were tried.
    """
    for language in LANGUAGES:
        _try(instance, language)
    return len(LANGUAGES)


def _try(instance: Instance, language: str) -> None:
    now = instance.clock()
    token = form_token.new_token(language=language, statements=instance.statements, now=now - _READING)
    answers = {**_ANSWERS, "region": [instance.clinic.region]}
    request = form.read_form(answers, token=token, clinic=instance.clinic, now=now)
    try:
        with instance.database.transaction(taking_in=True) as session:
            submit(session, request, instance=instance)
            raise _RolledBack
    except _RolledBack:
        return


def daily_mail(instance: Instance) -> int:
    """Write one constant mail to the second contacts when the last was written a day ago or longer."""
    now = instance.clock()
    with instance.database.transaction() as session:
        newest = session.scalar(
            select(func.max(OutboxMessage.created_at)).where(OutboxMessage.mail == Mail.DAILY)
        )
        if newest and now - DAY < newest <= now:
            return 0
        to = instance.clinic.notices.second_contacts
        return len(outbox.enqueue(session, Mail.DAILY, clinic_recipients=to, at=now))
