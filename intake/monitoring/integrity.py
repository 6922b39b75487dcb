"""Verifying the audit log, the proof of consent and the anchors, and the health checks on the outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from intake import audit
from intake.act import Act
from intake.audit import Action, Actor, Verification, chain
from intake.audit.service import details_of
from intake.consent import service as consent
from intake.core.i18n import gettext, translate
from intake.db.snapshot import snapshot
from intake.instance import Instance
from intake.monitoring.checks import Check, State, ago

ANCHOR_OLD, ANCHOR_TOO_OLD = timedelta(days=2), timedelta(days=7)
UNVERIFIED_AFTER = timedelta(days=3)
VERIFICATION = "verification"
LOCK = "verify.lock"


@dataclass(frozen=True)
class VerificationRecord:
    """Outcome of a verification of the whole log: when, whether it was intact, and the number of events."""

    at: datetime
    intact: bool
    events: int


def verify(instance: Instance, *, more: Sequence[Path] = ()) -> Verification:
    """Verify the whole log, its consent events, and its end against the anchors kept outside the database.

    `more` are further files with anchors, such as saved weekly mails. A file that is missing or has no
    anchor adds a note, not a problem. Raises Unavailable when the database is.
    """
    with instance.database.reading() as session:
        return _verify(Act(session, instance), more)


def verify_and_note(instance: Instance, *, actor: Actor) -> Verification:
    """Verify a snapshot, so that writers go on, and record the outcome as an audit event."""
    with snapshot(instance.database, lock=instance.settings.data_dir / LOCK) as session:
        found = _verify(Act(session, instance), ())
    with instance.database.transaction() as session:
        Act(session, instance, actor).record(Action.AUDIT_VERIFIED, hit=found.intact, count=found.events)
    return found


def _verify(act: Act, more: Sequence[Path]) -> Verification:
    by_file = {path: chain.load_anchors(path) or [] for path in (act.settings.anchor_path, *more)}
    anchors = [anchor for each in by_file.values() for anchor in each]
    found = audit.verify(act.session, keyring=act.keyring, anchors=anchors)
    proof = consent.verify_proof(act.session, keyring=act.keyring)
    return replace(
        found,
        problems=(*found.problems, *proof),
        notes=tuple(f"no anchor was found in {path.name}." for path, each in by_file.items() if not each),
    )


def last_verified(act: Act) -> VerificationRecord | None:
    """The outcome of the last recorded verification; None when there is none."""
    event = audit.last_authentic_event(act.session, Action.AUDIT_VERIFIED, keyring=act.keyring)
    if event is None:
        return None
    details = details_of(event)
    return VerificationRecord(event.at, bool(details.get("hit")), int(details.get("count", 0)))


def verified(act: Act) -> Check:
    """The whole log was verified within 3 days, and was intact."""
    last, began = last_verified(act), audit.oldest_event_at(act.session)
    if last and not last.intact:
        sentence = gettext(
            "The last verification of the audit log found something changed, missing or moved."
        )
        return Check(
            VERIFICATION, State.RED, sentence, gettext("Change nothing, and run `intake audit verify`.")
        )
    since = last.at if last else began
    if since and act.now - since > UNVERIFIED_AFTER:
        sentence = translate("The audit log was not verified for %(age)s.", age=ago(act.now - since))
        return Check(
            VERIFICATION, State.AMBER, sentence, gettext("Start `intake relay`, or look at its log.")
        )
    if last is None:
        return Check(VERIFICATION, State.GREEN, gettext("The audit log is verified within a day."))
    sentence = translate("The audit log was verified %(age)s ago, and held.", age=ago(act.now - last.at))
    return Check(VERIFICATION, State.GREEN, sentence)


def anchored(instance: Instance) -> Check:
    """The last anchor in INTAKE_ANCHOR_FILE matches the chain and is at most 2 days old (red after 7)."""
    last, now = chain.last_anchor(instance.settings.anchor_path), instance.clock()
    with instance.database.reading() as session:
        since = None if last else audit.oldest_event_at(session)
        holds = last is None or chain.anchor_matches(session, last, keyring=instance.keyring)
    if last is None and (since is None or now - since <= ANCHOR_OLD):
        first = gettext("The audit chain gets its first anchor within a day.")
        return Check("anchors", State.GREEN, first)
    if last is None:
        sentence = gettext("There is no anchor of the audit chain in the file for it.")
        what_to_do = gettext("Start `intake relay`; look where INTAKE_ANCHOR_FILE points.")
        return Check("anchors", State.AMBER, sentence, what_to_do)
    if not holds:
        sentence = gettext("The audit chain does not hold what the last anchor says: it was cut or replaced.")
        what_to_do = gettext("Change nothing, and run `intake audit verify`.")
        return Check("anchors", State.RED, sentence, what_to_do)
    age = now - last.at
    if age > ANCHOR_OLD:
        state = State.RED if age > ANCHOR_TOO_OLD else State.AMBER
        what_to_do = gettext("Start `intake relay`, and look whether INTAKE_ANCHOR_FILE can be written.")
        sentence = translate("The last anchor of the audit chain is %(age)s old.", age=ago(age))
        return Check("anchors", state, sentence, what_to_do)
    sentence = gettext("The end of the audit chain is anchored outside the database.")
    return Check("anchors", State.GREEN, sentence)
