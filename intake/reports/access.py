"""Who can sign in, and whether each of them has to give a second factor; as counts."""

import uuid
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from intake.accounts import credentials, invitations
from intake.accounts.models import Passkey, RecoveryCode, StaffMember
from intake.core.i18n import gettext, translate
from intake.instance import Instance
from intake.reports.compliance_model import Figure, Section, Standing
from intake.security.crypto import Unopenable


def section(session: Session, instance: Instance) -> Section:
    """Accounts and second factors now."""
    now, waiting = instance.clock(), set(invitations.waiting(session))
    rows = session.scalars(select(StaffMember)).all()
    able = [row for row in rows if row.disabled_at is None and row.id not in waiting]
    figures = [
        _able(len(able), now),
        _covered(sum(_works(row, instance) for row in able), len(able), now),
        _passkeys(session, {row.id for row in able}, now),
        _codes(session, {row.id for row in able}, now),
        _waiting(len(waiting & {row.id for row in rows if row.disabled_at is None}), now),
        _closed(sum(row.disabled_at is not None for row in rows), now),
    ]
    return Section("access", gettext("Who can sign in"), figures)


def _works(row: StaffMember, instance: Instance) -> bool:
    """Whether the secret of the account's authenticator app opens, without which no code is ever right."""
    try:
        credentials.unwrapped_secret(row.totp_secret, keyring=instance.keyring, staff_id=row.id)
    except Unopenable:
        return False
    return True


def _able(count: int, now: datetime) -> Figure:
    return Figure(
        name="access.accounts",
        label=gettext("Accounts that can sign in"),
        value=count,
        at=now,
        means=gettext("One account is one human being. Closed accounts and unused invitations do not count."),
        source=gettext("The table of staff accounts, counted when this report was made."),
    )


def _covered(covered: int, of: int, now: datetime) -> Figure:
    standing = Standing.NOT_KNOWN if not of else Standing.GOOD if covered == of else Standing.OPEN
    return Figure(
        name="access.with_second_factor",
        label=gettext("… of them with a second factor"),
        value=covered if of else None,
        at=now if of else None,
        means=gettext(
            "Nobody signs in with a password alone: a code of an authenticator app, a passkey or a recovery "
            "code is always asked for. Counted are the accounts whose second factor can be checked."
        ),
        source=gettext("The sealed secret of each account, opened with the key in use."),
        standing=standing,
        detail=translate("%(covered)s of %(of)s", covered=covered, of=of) if of else "",
    )


def _passkeys(session: Session, able: set[uuid.UUID], now: datetime) -> Figure:
    with_one = set(session.scalars(select(Passkey.staff_id).distinct())) & able
    return Figure(
        name="access.with_passkey",
        label=gettext("… of them with a passkey"),
        value=len(with_one),
        at=now,
        means=gettext("A passkey cannot be given away on a false page. It is offered, and not required."),
        source=gettext("The table of passkeys."),
    )


def _codes(session: Session, able: set[uuid.UUID], now: datetime) -> Figure:
    left = select(RecoveryCode.staff_id, func.count()).where(RecoveryCode.used_at.is_(None))
    with_some = {row[0] for row in session.execute(left.group_by(RecoveryCode.staff_id))}
    return Figure(
        name="access.without_recovery_codes",
        label=gettext("… of them with no recovery code left"),
        value=len(able - with_some),
        at=now,
        means=gettext(
            "Who loses the second factor and has no code left needs a colleague to be let in again."
        ),
        source=gettext("The table of recovery codes; only their keyed hashes are kept."),
    )


def _waiting(count: int, now: datetime) -> Figure:
    return Figure(
        name="access.invitations",
        label=gettext("Invitations not taken up"),
        value=count,
        at=now,
        means=gettext(
            "Nobody can sign in with these accounts until their owners have chosen a second factor."
        ),
        source=gettext("The table of invitations."),
    )


def _closed(count: int, now: datetime) -> Figure:
    return Figure(
        name="access.closed",
        label=gettext("Closed accounts"),
        value=count,
        at=now,
        means=gettext("They are kept so that the audit log goes on saying who did what. Nobody can sign in."),
        source=gettext("The table of staff accounts, counted when this report was made."),
    )
