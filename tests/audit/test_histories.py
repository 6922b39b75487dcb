"""Part of another history, written with the same keys, does not verify as part of this one."""

import shutil
from pathlib import Path

from sqlalchemy import text

from intake.instance import Instance
from tests.audit.test_chain import link, record_some, tamper, verify

SECOND = (
    "SELECT {what} FROM chain_link JOIN audit_event ON audit_event.id = chain_link.event_id WHERE seq = 2"
)


def test_a_link_of_another_branch_is_named(make_instance, sqlite_url: str, tmp_path: Path) -> None:
    """Two databases that grew from one backup: each is honest, a mixture of both is not."""
    other_file = tmp_path / "other.sqlite3"
    shutil.copyfile(sqlite_url.removeprefix("sqlite:///"), other_file)
    ours, theirs = make_instance(sqlite_url), make_instance(f"sqlite:///{other_file}")
    for each in (ours, theirs):
        record_some(each, 4)
        link(each)
        assert verify(each).intact
    foreign = second_of(theirs)
    tamper(ours, event_insert(foreign), **foreign)
    tamper(ours, "UPDATE chain_link SET event_id = :id, digest = :digest WHERE seq = 2", **foreign)
    assert "link 2: does not follow from the link before it." in verify(ours).problems


def second_of(instance: Instance) -> dict[str, object]:
    """The second event and the digest of its link, raw."""
    with instance.database.reading() as session:
        row = session.execute(text(SECOND.format(what="audit_event.*, chain_link.digest"))).mappings().one()
        return dict(row)


def event_insert(row: dict[str, object]) -> str:
    names = [name for name in row if name != "digest"]
    return f"INSERT INTO audit_event ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"
