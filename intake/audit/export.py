"""The audit log as a file of JSON lines, with all MACs and digests, so that it can be verified elsewhere.

The first line is an anchor of the chain at the time of export, so that a truncated file is detected. Unlinked
events are not included. The file holds no names: staff and leads appear by their internal ids.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from intake.audit import chain
from intake.audit.chain import Anchor, ChainVerifier, Verification
from intake.audit.models import ActorKind, AuditEvent, ChainLink
from intake.db.engine import Database
from intake.security.crypto import Keyring

PAGE = 500
_SHORT = (",", ":")


def export_lines(database: Database, head: Anchor) -> Iterator[str]:
    """Yield the file in chunks of lines, up to the anchor `head`; one short transaction per page."""
    yield json.dumps({"anchor": str(head)}, separators=_SHORT) + "\n"
    for first in range(1, head.seq + 1, PAGE):
        with database.reading() as session:
            rows = session.execute(
                select(ChainLink, AuditEvent)
                .join(AuditEvent, AuditEvent.id == ChainLink.event_id)
                .where(ChainLink.seq.between(first, min(first + PAGE - 1, head.seq)))
                .order_by(ChainLink.seq)
            ).all()
        yield "".join(json.dumps(_fields(*row), separators=_SHORT) + "\n" for row in rows)


def _fields(chained: ChainLink, event: AuditEvent) -> dict[str, Any]:
    return {
        "seq": chained.seq,
        "digest": chained.digest.hex(),
        "linked_at": chained.linked_at.isoformat(),
        "digest_version": chained.digest_version,
        "id": str(event.id),
        "at": event.at.isoformat(),
        "actor_kind": event.actor_kind.value,
        "actor_id": str(event.actor_id) if event.actor_id else None,
        "action": event.action,
        "about": str(event.about) if event.about else None,
        "details": event.details,
        "mac": event.mac.hex(),
    }


def verify(lines: Iterable[str], *, keyring: Keyring, anchors: Sequence[Anchor] = ()) -> Verification:
    """Verify a saved file by itself and against `anchors`; needs no database."""
    rows = iter(lines)
    own = _own_anchor(next(rows, ""))
    reach = max((each.seq for each in own), default=0)
    compared = [*own, *(each for each in anchors if each.seq <= reach)]
    verifier = ChainVerifier(keyring, compared)
    count = 0
    for number, line in enumerate(rows, 2):
        try:
            chained, event = _parse_line(line)
        except (ValueError, TypeError, KeyError, RecursionError):
            verifier.problems.append(f"line {number} of the file cannot be read, so it was changed.")
            continue
        verifier.step(chained, event)
        count += 1
    if not own:
        verifier.problems.append("the first line of the file is not the anchor that it began with.")
    elif own[0].authentic(keyring) and verifier.linked > reach:
        links = f"links {reach + 1} to {verifier.linked}"
        verifier.problems.append(f"{links} were put in: the file ended at link {reach}.")
    verifier.compare(max([count, *(each.events for each in compared)]))
    newer = len(own) + len(anchors) - len(compared)
    return Verification(
        events=count,
        linked=verifier.linked,
        head=verifier.head.hex(),
        anchors=len(compared),
        problems=tuple(verifier.problems),
        notes=(f"{newer} anchors are newer than this file.",) if newer else (),
    )


def _own_anchor(first_line: str) -> list[Anchor]:
    try:
        return chain.parse_anchors(str(json.loads(first_line)["anchor"]))[:1]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def _parse_line(line: str) -> tuple[ChainLink, AuditEvent]:
    row = json.loads(line)
    event = AuditEvent(
        id=uuid.UUID(row["id"]),
        at=datetime.fromisoformat(row["at"]),
        actor_kind=ActorKind(row["actor_kind"]),
        actor_id=uuid.UUID(row["actor_id"]) if row["actor_id"] else None,
        action=str(row["action"]),
        about=uuid.UUID(row["about"]) if row["about"] else None,
        details=str(row["details"]),
        mac=bytes.fromhex(row["mac"]),
    )
    version = row.get("digest_version")  # not in the oldest files
    if version is not None and type(version) is not int:
        raise TypeError
    chained = ChainLink(
        seq=int(row["seq"]),
        event_id=event.id,
        digest=bytes.fromhex(row["digest"]),
        linked_at=datetime.fromisoformat(row["linked_at"]),
        digest_version=version,
    )
    return chained, event
