"""The log as a file: one JSON object a line, with every seal, so that it can be verified elsewhere.

The first line is an anchor of the chain as it was when the file was made, so that a file that was cut is
found. Events that had no place in the chain yet are not in it. It names nobody: staff and requests stand
there by their internal ids.
"""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select

from intake.audit import chain
from intake.audit.chain import Anchor, Seen, Verification, Walk, compare_anchors
from intake.audit.models import ActorKind, AuditEvent, ChainLink
from intake.db.engine import Database
from intake.security.crypto import Keyring

PAGE = 500


def lines(database: Database, head: Anchor) -> Iterator[str]:
    """The file, line by line, up to `head`; each page is read by itself, so that no writer waits."""
    yield _written({"anchor": str(head)})
    for first in range(1, head.seq + 1, PAGE):
        with database.reading() as session:
            rows = session.execute(
                select(ChainLink, AuditEvent)
                .join(AuditEvent, AuditEvent.id == ChainLink.event_id)
                .where(ChainLink.seq.between(first, min(first + PAGE - 1, head.seq)))
                .order_by(ChainLink.seq)
            ).all()
        yield "".join(_written(_told(chained, event)) for chained, event in rows)


def _written(row: Mapping[str, Any]) -> str:
    return json.dumps(row, separators=(",", ":")) + "\n"


def _told(chained: ChainLink, event: AuditEvent) -> dict[str, Any]:
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


def verify(written: Iterable[str], *, keyring: Keyring, anchors: Sequence[Anchor] = ()) -> Verification:
    """What a saved file proves, alone and against `anchors`; changes nothing and needs no database."""
    every = iter(written)
    own = _own(next(every, ""))
    reach = max((each.seq for each in own), default=0)
    compared = [*own, *(each for each in anchors if each.seq <= reach)]
    walk = Walk(keyring, [anchor.seq for anchor in compared])
    count = 0
    for number, line in enumerate(every, 2):
        try:
            chained, event = _read(line)
        except (ValueError, TypeError, KeyError, RecursionError):
            walk.problems.append(f"line {number} of the file cannot be read, so it was changed.")
            continue
        walk.step(chained, event)
        count += 1
    walk.problems += [] if own else ["the first line of the file is not the anchor that it began with."]
    walk.problems += _ends(own, walk, keyring)
    seen = Seen(max([count, *(each.events for each in compared)]), walk.linked, walk.digests)
    walk.problems += compare_anchors(compared, seen, keyring=keyring)
    return Verification(
        events=count,
        linked=walk.linked,
        head=walk.head.hex(),
        anchors=len(compared),
        problems=tuple(walk.problems),
        notes=_newer(len(own) + len(anchors) - len(compared)),
    )


def _newer(count: int) -> tuple[str, ...]:
    return (f"{count} anchors are newer than this file.",) if count else ()


def _own(first: str) -> list[Anchor]:
    try:
        return chain.read_anchors(str(json.loads(first)["anchor"]))[:1]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def _ends(own: Sequence[Anchor], walk: Walk, keyring: Keyring) -> Iterator[str]:
    """Nothing of ours stands behind the end that the first line names."""
    for anchor in own:
        if anchor.authentic(keyring) and walk.linked > anchor.seq:
            yield f"links {anchor.seq + 1} to {walk.linked} were put in: the file ended at link {anchor.seq}."


def _read(line: str) -> tuple[ChainLink, AuditEvent]:
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
