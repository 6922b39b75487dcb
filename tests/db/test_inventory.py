"""K1: every column is known, and what names or reaches a person is sealed or keyed."""

import intake.accounts.models
import intake.audit.models
import intake.backup.models
import intake.casework.models
import intake.consent.models
import intake.leads.models
import intake.outbox.models  # noqa: F401  registers its tables
from intake.db.types import Base, Identifier, WrappedSecret
from intake.leads.fields import FIELDS
from intake.leads.models import SealedText

SEALED = {f"lead.{each.name}" for each in FIELDS}
"""The declaration is complete: a sealed column that it lacks would be missing from the person's copy."""
KEYED = {
    "lead.phone_index": "exact look-up and do-not-contact",
    "lead.email_index": "exact look-up and do-not-contact",
    "lead.code_hash": "the private code opens without being stored",
    "submission.token_hash": "a page sent again finds its lead",
    "submission.content_mac": "tells a repeat from a correction",
    "suppression.contact_index": "whom not to contact",
    "consent_event.contact_index": "proof that the holder of a number agreed, after an erasure",
    "consent_event.mac": "authenticates the event",
    "audit_event.mac": "authenticates the event",
    "chain_link.digest": "the chain",
    "lead_key.wrapped": "the lead's key, under the keyring",
    "staff_member.totp_secret": "the second factor, under the keyring",
    "staff_member.password_hash": "Argon2id",
    "recovery_code.code_hash": "works once",
    "staff_session.token_hash": "the cookie is never stored",
    "staff_invitation.token_hash": "the link is never stored",
    "staff_passkey.handle_hash": "finds a passkey",
    "staff_passkey.credential": "a public key",
    "spent_challenge.challenge_hash": "answered once",
}
OPEN = {
    "audit_event": "id at actor_kind actor_id action about details",
    "chain_link": "seq event_id linked_at digest_version",
    "consent_statement": "digest kind version language body first_shown_at",
    "consent_event": "id lead_id kind state statement language method actor_kind actor_id at",
    "lead": "id reference language region time_zone number_zones windows status close_reason suspected "
    "promise_at asked_at opened_at first_contact_at booked_for closed_at purge_after claimed_by "
    "claimed_until follows use_event_id use_kind use_state version",
    "lead_key": "lead_id",
    "legal_hold": "lead_id reason since until put_by erase_asked_at",
    "backup_record": "act tried_at succeeded_at last_error",
    "erasure": "lead_id erased_at reason",
    "submission": "lead_id received_at",
    "attempt": "id lead_id staff_id channel outcome at consent_event_id undone_at",
    "lead_before": "lead_id act_id staff_id outcome at version undone_at status close_reason closed_at "
    "first_contact_at booked_for purge_after claimed_by claimed_until",
    "suppression": "id reason at by lifted_at",
    "outbox_message": "id mail recipient lead_id state attempts generation due_at leased_until created_at "
    "sent_at last_error",
    "round_lease": "name due_at leased_until generation started_at ended_at succeeded_at last_error",
    "staff_member": "id email name totp_step created_at disabled_at",
    "staff_role": "staff_id role",
    "recovery_code": "staff_id used_at",
    "staff_session": "id staff_id browser began_at seen_at confirmed_at ended_at",
    "staff_invitation": "staff_id expires_at",
    "staff_passkey": "id staff_id sign_count browser added_at used_at",
    "spent_challenge": "spent_at",
}
NEVER = (
    "birth age gender ethnic religion street zip address insurer diagnosis symptom substance medication "
    "score price payee affiliate commission ip agent referrer utm message comment"
).split()


def columns() -> dict[str, object]:
    return {
        f"{table.name}.{column.name}": column
        for table in Base.metadata.sorted_tables
        for column in table.columns
    }


def test_every_column_is_on_the_inventory() -> None:
    known = SEALED | set(KEYED) | {f"{table}.{name}" for table in OPEN for name in OPEN[table].split()}
    assert set(columns()) == known


def test_what_reaches_a_person_is_sealed() -> None:
    assert {name for name, column in columns().items() if isinstance(column.type, SealedText)} == SEALED


def test_what_stands_under_the_keyring_can_be_wrapped_anew() -> None:
    """A rotation of keys finds its work by the type (ADR 0015)."""
    wrapped = {name for name, column in columns().items() if isinstance(column.type, WrappedSecret)}
    assert wrapped == {name for name, why in KEYED.items() if "under the keyring" in why}
    for name in wrapped:
        keys = Base.metadata.tables[name.split(".")[0]].primary_key.columns.values()
        assert [type(key.type) for key in keys] == [Identifier]


def test_nothing_that_must_never_be_asked_has_a_column() -> None:
    """W3 and compliance: no health word, no price, no affiliate can exist here."""
    words = {word for name in columns() for word in name.split(".")[1].split("_")}
    assert not words & set(NEVER)
