"""Key rotation: rewraps every secret under the newest sealing key while the service runs.

The columns to rewrap are those of type `Wrapped`: keys of leads, second factors of staff. Each row is
updated only if it is still as it was read, so one that is erased or reset meanwhile stays so. Rows are
committed in batches; after a crash the next run does the rest. See
docs/decisions/0015-rotating-the-sealing-key.md.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from sqlalchemy import Column, CursorResult, func, select, update
from sqlalchemy.orm import Session

from intake.accounts import models as staff
from intake.act import Act
from intake.audit import Action, AuditEvent
from intake.audit.service import details_of
from intake.core.errors import Refused
from intake.db.types import Base, WrappedSecret
from intake.instance import Instance
from intake.leads import models as leads
from intake.security.crypto import UNREADABLE, Keyring, Place, UnsealError, wrapped_prefix, wrapping_id

BATCH = 200
_TABLES = (leads, staff)  # importing these modules registers their tables

Progress = Callable[[int, int], None]
"""Called after each batch with how many rows are done and how many there are."""


class WrappedColumn(NamedTuple):
    """A column of wrapped secrets, with the primary key of its table."""

    primary_key: "Column[uuid.UUID]"
    column: "Column[bytes]"

    def place(self, row_id: uuid.UUID) -> Place:
        """The place (table, column, row) that the secret of one row is bound to."""
        return Place(self.column.table.name, self.column.name, row_id)


@dataclass(frozen=True)
class RotationResult:
    """Counts of rows rewrapped and rows that do not decrypt; the older key ids that are now unused."""

    rewrapped: int
    undecryptable: int
    unused: tuple[str, ...]


def wrapped_columns() -> list[WrappedColumn]:
    """Every column that holds secrets wrapped by the keyring."""
    tables = Base.metadata.sorted_tables
    return [
        WrappedColumn(table.primary_key.columns.values()[0], column)
        for table in tables
        for column in table.columns
        if isinstance(column.type, WrappedSecret)
    ]


def count_rows_by_key(session: Session, keyring: Keyring) -> Mapping[str, int]:
    """The number of rows wrapped under each key id. Every id of the keyring is included, also with 0."""
    counts = dict.fromkeys(keyring.sealing_ids, 0)
    for cell in wrapped_columns():
        for key_id in keyring.sealing_ids:
            counted = select(func.count()).where(_is_wrapped_under(cell, key_id))
            counts[key_id] += session.scalar(counted) or 0
        others = (~_is_wrapped_under(cell, key_id) for key_id in keyring.sealing_ids)
        for wrapped in session.scalars(select(cell.column).where(*others)):
            counts[wrapping_id(wrapped)] = counts.get(wrapping_id(wrapped), 0) + 1
    return counts


def count_undecryptable(session: Session, keyring: Keyring) -> tuple[int, int]:
    """How many secrets cannot be unwrapped with these keys, and how many there are. Reads every row."""
    undecryptable = total = 0
    for cell in wrapped_columns():
        rows = select(cell.primary_key, cell.column).execution_options(yield_per=BATCH)
        for row_id, wrapped in session.execute(rows):
            total += 1
            try:
                keyring.unwrap(wrapped, place=cell.place(row_id))
            except UnsealError:
                undecryptable += 1
    return undecryptable, total


def rotate(instance: Instance, *, batch: int = BATCH, on_progress: Progress | None = None) -> RotationResult:
    """Rewrap every secret under the first of INTAKE_SEALING_KEYS, `batch` rows to a transaction.

    Safe while other processes with the same keys run, and safe to repeat. `on_progress` is called after each
    batch. Raises Refused when the keys are in a wrong order, one is missing, or there is only one.
    """
    with instance.database.reading() as session:
        counts = count_rows_by_key(session, instance.keyring)
        begun = select(AuditEvent).where(AuditEvent.action == Action.KEYS_ROTATION_BEGUN.value)
        retired = {key_id for event in session.scalars(begun) for key_id in details_of(event).get("from", ())}
        _check_keys(counts, retired, instance.keyring.sealing_ids)
    newest, *older = instance.keyring.sealing_ids
    total, rewrapped, undecryptable = sum(counts.values()) - counts[newest], 0, 0
    if total:
        _record(instance, Action.KEYS_ROTATION_BEGUN, to=newest, **{"from": older})
    for done, failed in _rotate_batches(instance, batch):
        rewrapped, undecryptable = rewrapped + done, undecryptable + failed
        if on_progress:
            on_progress(rewrapped + undecryptable, total)
    if rewrapped:
        _record(instance, Action.KEYS_ROTATED, to=newest, count=rewrapped)
    with instance.database.reading() as session:
        left = count_rows_by_key(session, instance.keyring)
    return RotationResult(rewrapped, undecryptable, tuple(key_id for key_id in older if not left[key_id]))


def _check_keys(counts: Mapping[str, int], retired: set[str], ids: Sequence[str]) -> None:
    """Raise Refused for keys in a wrong order or missing. `retired`: replaced by an earlier rotation."""
    newest, *older = ids
    missing = sorted(set(counts) - {*ids, UNREADABLE})
    if missing:
        raise Refused(
            f"{sum(counts[each] for each in missing)} rows stand on {', '.join(missing)}, which "
            "INTAKE_SEALING_KEYS does not hold: put it back, behind the others, and start again."
        )
    if newest in retired:
        raise Refused(
            f"{newest} was rotated away from before and stands first in INTAKE_SEALING_KEYS: put the newest "
            "key in front. An id is never used for a second time."
        )
    if not older:
        raise Refused(
            f"{newest} is the only key of INTAKE_SEALING_KEYS: put a fresh one in front of it, from "
            "`intake keys new --only sealing_keys --id …`, and restart every process."
        )
    if 0 < counts[newest] == sum(counts.values()) and not retired.issuperset(older):
        raise Refused(
            f"Everything stands on {newest}, the first key, and nothing on {', '.join(older)}. A fresh key "
            "belongs in front of INTAKE_SEALING_KEYS, not behind; an old one may be removed."
        )


def _record(instance: Instance, action: Action, **details: Any) -> None:
    with instance.database.transaction() as session:
        Act(session, instance).record(action, **details)


def _rotate_batches(instance: Instance, batch: int) -> Iterator[tuple[int, int]]:
    """Rewrap what is not under the newest key; yields for each batch how many rows were and could not be."""
    newest = instance.keyring.sealing_ids[0]
    for cell in wrapped_columns():
        after: uuid.UUID | None = None
        while True:
            with instance.database.transaction() as session:
                waiting = select(cell.primary_key, cell.column).where(~_is_wrapped_under(cell, newest))
                if after:
                    waiting = waiting.where(cell.primary_key > after)
                rows = session.execute(waiting.order_by(cell.primary_key).limit(batch)).all()
                results = [
                    _rewrap(session, cell, row_id, wrapped, instance.keyring) for row_id, wrapped in rows
                ]
            if not rows:
                break
            after = rows[-1][0]
            yield results.count(True), results.count(None)


def _rewrap(
    session: Session, cell: WrappedColumn, row_id: uuid.UUID, wrapped: bytes, keyring: Keyring
) -> bool | None:
    """True if rewrapped, None if it cannot be unwrapped, False if the row was changed meanwhile."""
    try:
        rewrapped = keyring.rewrap(wrapped, place=cell.place(row_id))
    except UnsealError:
        return None
    unchanged = update(cell.column.table).where(cell.primary_key == row_id, cell.column == wrapped)
    result = session.execute(unchanged.values({cell.column.name: rewrapped}))
    return cast("CursorResult[Any]", result).rowcount == 1


def _is_wrapped_under(cell: WrappedColumn, key_id: str) -> Any:
    start = wrapped_prefix(key_id)
    return func.substr(cell.column, 1, len(start), type_=WrappedSecret) == start
