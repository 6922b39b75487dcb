"""Passkeys with a software authenticator: each answer is accepted once, and a cloned key is found (W1)."""

import json
import uuid
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import sha256, websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)
from sqlalchemy import select

from intake.accounts import invitations, passkeys, profile, service, sessions, sign_in
from intake.accounts.models import Browser, Invitation
from intake.accounts.passkeys import InvalidPasskey
from intake.accounts.permissions import StaffAct
from intake.accounts.sign_in import SignInRefused
from intake.act import Act
from intake.audit import Action, AuditEvent
from intake.core.errors import NotSignedIn
from intake.instance import Instance
from tests.conftest import MovableClock
from tests.factories import HOME_NETWORK, Person, add_account

LOGIN_NONCE, OTHER_NONCE = b"the nonce of one browser", b"another one"
PRESENT_AND_VERIFIED, PRESENT = 0x05, 0x01
ATTESTED = 0x40


@dataclass
class Device:
    """An authenticator with one key. `count` is its next sign count; a synced key always has 0."""

    count: int = 1
    flags: int = PRESENT_AND_VERIFIED
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    handle: bytes = field(default_factory=lambda: uuid.uuid4().bytes)

    def makes(self, options: str) -> str:
        """A browser's answer for a new passkey."""
        public = ES256.from_cryptography_key(self.key.public_key())
        credential = AttestedCredentialData.create(Aaguid.NONE, self.handle, public)
        data = AuthenticatorData.create(sha256(b"localhost"), self.flags | ATTESTED, self.count, credential)
        made = AttestationObject.create("none", data, {})
        fields = {"attestationObject": websafe_encode(made)}
        return self._answer(self._client("webauthn.create", options), fields)

    def answers(self, options: str) -> str:
        """A browser's answer for an assertion."""
        client = self._client("webauthn.get", options)
        data = AuthenticatorData.create(sha256(b"localhost"), self.flags, self.count)
        signature = self.key.sign(data + sha256(client), ec.ECDSA(hashes.SHA256()))
        fields = {"authenticatorData": websafe_encode(data), "signature": websafe_encode(signature)}
        return self._answer(client, fields)

    @staticmethod
    def _client(kind: str, options: str) -> bytes:
        challenge = json.loads(options)["challenge"]
        return CollectedClientData.create(type=kind, challenge=challenge, origin="http://localhost")

    def _answer(self, client: bytes, fields: dict[str, str]) -> str:
        handle = websafe_encode(self.handle)
        response = {"clientDataJSON": websafe_encode(client), **fields}
        return json.dumps({"id": handle, "rawId": handle, "type": "public-key", "response": response})


@pytest.fixture
def maria(instance: Instance) -> Person:
    return add_account(instance)


@pytest.fixture
def device(instance: Instance, maria: Person) -> Device:
    """Maria's device, whose passkey is added to her account."""
    found, made = signed_in(instance, maria), Device()
    add(instance, maria, found, made)
    return made


def signed_in(instance: Instance, person: Person) -> sessions.ActiveSession:
    with instance.database.transaction() as session:
        token = sessions.begin(Act(session, instance), staff_id=person.member.id)
        session.flush()
        return sessions.find(Act(session, instance), token)


def add(instance: Instance, person: Person, found: sessions.ActiveSession, device: Device) -> None:
    with instance.database.transaction() as session:
        options = passkeys.creation_options(
            StaffAct(session, instance, person.member), bound_to=found.id.bytes
        )
        profile.add_passkey(Act(session, instance), found, device.makes(options))


def signs_in(instance: Instance, device: Device, login_nonce: bytes = LOGIN_NONCE, answer: str = "") -> bool:
    """Whether the device signs in; its sign count grows after each answer, unless it is 0."""
    answer = answer or device.answers(passkeys.request_options(login_nonce, instance=instance))
    device.count += bool(device.count)
    try:
        attempt = sign_in.LoginAttempt(HOME_NETWORK, Browser.OTHER, login_nonce=LOGIN_NONCE)
        sign_in.sign_in_with_passkey(instance=instance, passkey=answer, attempt=attempt)
    except SignInRefused:
        return False
    return True


def kept(instance: Instance, person: Person) -> int:
    with instance.database.reading() as session:
        return len(passkeys.list_passkeys(session, person.member.id))


def events(instance: Instance, action: Action) -> list[str]:
    with instance.database.reading() as session:
        return list(session.scalars(select(AuditEvent.details).where(AuditEvent.action == action)))


def test_a_count_that_grows_opens_each_time(instance: Instance, maria: Person, device: Device) -> None:
    device.count += 1
    assert [signs_in(instance, device) for _ in range(3)] == [True] * 3
    assert events(instance, Action.STAFF_SIGNED_IN) == ['{"method":"passkey"}'] * 3


def test_a_synced_key_that_never_counts_opens_each_time(instance: Instance, maria: Person) -> None:
    synced = Device(count=0)
    add(instance, maria, signed_in(instance, maria), synced)
    assert [signs_in(instance, synced) for _ in range(3)] == [True] * 3
    assert kept(instance, maria) == 1


@pytest.mark.parametrize("count", [0, 3, 4], ids=["none any more", "back", "the same"])
def test_a_count_that_does_not_grow_takes_the_key_away_and_says_so(
    instance: Instance, maria: Person, device: Device, count: int
) -> None:
    device.count = 4
    assert signs_in(instance, device)
    device.count = count
    assert not signs_in(instance, device)
    assert kept(instance, maria) == 0
    assert events(instance, Action.STAFF_PASSKEY_REMOVED) == ['{"reason":"copied"}']
    assert events(instance, Action.STAFF_REFUSED) == ['{"reason":"code"}']
    device.count = 9
    assert not signs_in(instance, device)


def test_an_answer_counts_once_and_at_its_own_door(instance: Instance, maria: Person, device: Device) -> None:
    device.count += 1
    answer = device.answers(passkeys.request_options(LOGIN_NONCE, instance=instance))
    assert signs_in(instance, device, answer=answer)
    assert not signs_in(instance, device, answer=answer)
    assert not signs_in(instance, device, OTHER_NONCE)
    assert kept(instance, maria) == 1  # neither says that the key was copied


def test_an_old_challenge_and_a_device_that_does_not_know_its_owner_open_nothing(
    instance: Instance, maria: Person, device: Device, clock: MovableClock
) -> None:
    device.count += 1
    answer = device.answers(passkeys.request_options(LOGIN_NONCE, instance=instance))
    clock.move(hours=2, seconds=1)
    assert not signs_in(instance, device, answer=answer)
    device.flags = PRESENT
    assert not signs_in(instance, device)
    assert Device(handle=device.handle).count  # a stranger's key under the same name
    assert not signs_in(instance, Device(handle=device.handle, count=9))


@pytest.mark.parametrize("answer", ["{", "[]", "null", "1" * 10_000, '{"rawId":"eA"}', "\x00", "[" * 5000])
def test_what_is_no_answer_is_refused_with_one_event(instance: Instance, answer: str) -> None:
    assert not signs_in(instance, Device(), answer=answer)
    assert events(instance, Action.STAFF_REFUSED) == ['{"reason":"code"}']


def test_what_is_no_new_passkey_is_not_kept(instance: Instance, maria: Person) -> None:
    found = signed_in(instance, maria)
    with instance.database.transaction() as session:
        options = passkeys.creation_options(
            StaffAct(session, instance, maria.member), bound_to=b"another session"
        )
    for answer in ("", "{}", Device().makes(options), Device().answers(options)):
        with instance.database.transaction() as session, pytest.raises(InvalidPasskey):
            profile.add_passkey(Act(session, instance), found, answer)
    assert kept(instance, maria) == 0


@pytest.mark.parametrize("act", [service.reset, invitations.reinvite, service.disable])
def test_a_passkey_ends_with_a_reset_an_invitation_and_a_closed_account(
    instance: Instance, maria: Person, device: Device, act: object
) -> None:
    add_account(instance, "ada@example.org")
    with instance.database.transaction() as session:
        act(Act(session, instance), staff_id=maria.member.id)  # type: ignore[operator]
    device.count += 1
    assert not signs_in(instance, device)


def test_a_reset_voids_an_invitation_that_is_still_open(instance: Instance, maria: Person) -> None:
    with instance.database.transaction() as session:
        invitations.reinvite(Act(session, instance), staff_id=maria.member.id)
        service.reset(Act(session, instance), staff_id=maria.member.id)
        assert session.query(Invitation).count() == 0


def test_the_session_it_was_added_in_has_a_new_token(instance: Instance, maria: Person) -> None:
    found = signed_in(instance, maria)
    add(instance, maria, found, Device())
    with pytest.raises(NotSignedIn):
        add(instance, maria, found, Device())
