"""Whether all that was written still stands as it was written: the log, the proof of consent, the anchors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from intake import audit
from intake.audit import Action, Actor, Verification, chain
from intake.audit.chain import Anchor
from intake.audit.service import details_of
from intake.consent import service as consent
from intake.core.i18n import gettext, translate
from intake.db.snapshot import snapshot
from intake.instance import Instance
from intake.monitoring.checks import Check, State, ago

OLD, TOO_OLD = timedelta(days=2), timedelta(days=7)
UNVERIFIED = timedelta(days=3)
VERIFICATION = "verification"
LOCK = "verify.lock"


@dataclass(frozen=True)
class Verified:
    """How a verification of the whole log ended, and of how many events."""

    at: datetime
    intact: bool
    events: int


def verify(instance: Instance, *, more: Sequence[Path] = ()) -> Verification:
    """Check the whole log, its consent events, and its end against the anchors kept outside.

    `more` are further files with anchors, like weekly mails that were saved. A file that is not there, or
    that holds no anchor, is a note and no problem.
    """
    with instance.database.reading() as session:
        return _verified(session, instance, more)


def verify_and_note(instance: Instance, *, actor: Actor) -> Verification:
    """The same of one moment, which keeps nobody from writing; how it ended is itself an event."""
    with snapshot(instance.database, lock=instance.settings.data_dir / LOCK) as session:
        found = _verified(session, instance, ())
    with instance.database.transaction() as session:
        audit.record(
            session,
            Action.AUDIT_VERIFIED,
            keyring=instance.keyring,
            at=instance.clock(),
            actor=actor,
            details={"hit": found.intact, "count": found.events},
        )
    return found


def _verified(session: Session, instance: Instance, more: Sequence[Path]) -> Verification:
    kept = {path: chain.anchors_in(path) or [] for path in (instance.settings.anchor_path, *more)}
    every = [anchor for found in kept.values() for anchor in found]
    found = audit.verify(session, keyring=instance.keyring, anchors=every)
    proof = consent.verify_proof(session, keyring=instance.keyring)
    return replace(
        found,
        problems=(*found.problems, *proof),
        notes=tuple(f"no anchor was found in {path.name}." for path, each in kept.items() if not each),
    )


def last_verified(session: Session, instance: Instance) -> Verified | None:
    """How the last verification of the whole log ended; None when none is on record."""
    event = audit.last(session, Action.AUDIT_VERIFIED, keyring=instance.keyring)
    if event is None:
        return None
    said = details_of(event)
    return Verified(event.at, bool(said.get("hit")), int(said.get("count", 0)))


def verified(session: Session, instance: Instance) -> Check:
    """The whole log was verified lately, and held."""
    last, began = last_verified(session, instance), audit.began(session)
    if last and not last.intact:
        said = gettext("The last verification of the audit log found something changed, missing or moved.")
        return Check(VERIFICATION, State.RED, said, gettext("Change nothing, and run `intake audit verify`."))
    since = last.at if last else began
    if since and instance.clock() - since > UNVERIFIED:
        said = translate("The audit log was not verified for %(age)s.", age=ago(instance.clock() - since))
        return Check(VERIFICATION, State.AMBER, said, gettext("Start `intake relay`, or look at its log."))
    if last is None:
        return Check(VERIFICATION, State.GREEN, gettext("The audit log is verified within a day."))
    said = translate("The audit log was verified %(age)s ago, and held.", age=ago(instance.clock() - last.at))
    return Check(VERIFICATION, State.GREEN, said)


def anchored(instance: Instance) -> Check:
    """The end of the chain is kept outside the database, lately, and the chain still holds it."""
    path = instance.settings.anchor_path
    last = chain.last_anchor(path)
    if last is None:
        return _without(instance)
    if not _held(instance, last):
        said = gettext("The audit chain does not hold what the last anchor says: it was cut or replaced.")
        return Check("anchors", State.RED, said, gettext("Change nothing, and run `intake audit verify`."))
    age = instance.clock() - last.at
    if age > OLD:
        state = State.RED if age > TOO_OLD else State.AMBER
        todo = gettext("Start `intake relay`, and look whether INTAKE_ANCHOR_FILE can be written.")
        said = translate("The last anchor of the audit chain is %(age)s old.", age=ago(age))
        return Check("anchors", state, said, todo)
    said = gettext("The end of the audit chain is anchored outside the database.")
    return Check("anchors", State.GREEN, said)


def _without(instance: Instance) -> Check:
    """A young log has no anchor yet; one that is older than two days should."""
    with instance.database.reading() as session:
        since = audit.began(session)
    if since is None or instance.clock() - since <= OLD:
        first = gettext("The audit chain gets its first anchor within a day.")
        return Check("anchors", State.GREEN, first)
    said = gettext("There is no anchor of the audit chain in the file for it.")
    todo = gettext("Start `intake relay`; look where INTAKE_ANCHOR_FILE points.")
    return Check("anchors", State.AMBER, said, todo)


def _held(instance: Instance, last: Anchor) -> bool:
    with instance.database.reading() as session:
        return chain.anchor_holds(session, last, keyring=instance.keyring)
