"""Links verify by the formula that made them; none passes for one of another formula."""

import pytest

from intake.audit.models import AuditEvent, ChainLink
from intake.audit.service import DIGEST_VERSION, digest_of
from intake.instance import Instance
from tests.audit.test_chain import link, record_some, tamper, verify

OLDEST, OLD, NEW = 1, 2, DIGEST_VERSION


def chain_of(instance: Instance, *versions: int) -> None:
    """A chain whose links were made by these formulas, each as the release of its time wrote it."""
    ids, before = record_some(instance, len(versions)), b""
    with instance.database.transaction() as session:
        for seq, (event_id, version) in enumerate(zip(ids, versions, strict=True), 1):
            event = session.get_one(AuditEvent, event_id)
            label = version if version == NEW else None
            made = ChainLink(seq=seq, event_id=event_id, linked_at=instance.clock(), digest_version=label)
            made.digest = before = digest_of(instance.keyring, before, made, event, version=version)
            session.add(made)
            session.flush()


@pytest.mark.parametrize(
    "versions",
    [(OLDEST,) * 3, (OLD,) * 3, (NEW,) * 3, (OLDEST, OLD, NEW), (OLDEST, NEW, NEW), (OLD, NEW, NEW)],
)
def test_each_link_verifies_by_its_own_formula(instance: Instance, versions: tuple[int, ...]) -> None:
    chain_of(instance, *versions)
    assert verify(instance).problems == ()


@pytest.mark.parametrize("versions", [(OLD, OLDEST), (NEW, OLDEST), (NEW, OLD)])
def test_an_older_formula_never_comes_back(instance: Instance, versions: tuple[int, ...]) -> None:
    chain_of(instance, *versions)
    assert verify(instance).problems == ("link 2: does not follow from the link before it.",)


@pytest.mark.parametrize("version", [OLDEST, OLD, NEW])
@pytest.mark.parametrize("label", [None, OLDEST, OLD, NEW, NEW + 1, 0, -1])
def test_a_changed_label_is_named(instance: Instance, version: int, label: int | None) -> None:
    chain_of(instance, version, version)
    honest = label == (NEW if version == NEW else None)
    tamper(instance, "UPDATE chain_link SET digest_version = :label WHERE seq = 2", label=label)
    named = () if honest else ("link 2: does not follow from the link before it.",)
    assert verify(instance).problems == named


@pytest.mark.parametrize("version", [OLD, NEW])
@pytest.mark.parametrize("label", [None, NEW])
def test_the_moment_of_linking_cannot_be_changed(instance: Instance, version: int, label: int | None) -> None:
    chain_of(instance, version, version)
    at = instance.clock.move(days=-3)
    moment = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if instance.database.sqlite else at
    tamper(
        instance,
        "UPDATE chain_link SET linked_at = :at, digest_version = :label WHERE seq = 1",
        at=moment,
        label=label,
    )
    assert "link 1: does not follow from the link before it." in verify(instance).problems


def test_new_links_go_on_from_old_ones(instance: Instance) -> None:
    chain_of(instance, OLDEST, OLDEST, OLD)
    record_some(instance, 2)
    assert link(instance) == 2
    found = verify(instance)
    assert (found.linked, found.problems) == (5, ())
    with instance.database.reading() as session:
        labels = [each.digest_version for each in session.query(ChainLink).order_by(ChainLink.seq)]
    assert labels == [None, None, None, NEW, NEW]
