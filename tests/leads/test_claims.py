"""Two claims at once: one claims the lead, and the other gets the name of the claimant (G2)."""

import threading

import pytest

from intake.accounts.permissions import Member, StaffAct
from intake.instance import Instance
from intake.leads import claims
from intake.leads.claims import ClaimedByAnother
from tests.factories import acting, acts, ask, hire, now, take

REPEATS = 5


@pytest.mark.parametrize("same_request", [True, False], ids=["one request", "two of one person"])
def test_of_two_clicks_at_once_one_wins_and_the_other_learns_who(
    instance: Instance, *, same_request: bool
) -> None:
    members = [hire(instance, "Ana Ruiz"), hire(instance, "Ben Ochoa")]
    for _ in range(REPEATS):
        one = ask(instance).lead
        leads = [one, one if same_request else ask(instance).lead]
        start, won, refused = threading.Barrier(2), [], []

        def click(member: Member, place: int, start=start, leads=leads, won=won, refused=refused) -> None:
            start.wait()
            try:
                take(instance, leads[place], member)
                won.append(member.name)
            except ClaimedByAnother as held:
                refused.append(held.by)

        threads = [threading.Thread(target=click, args=(each, place)) for place, each in enumerate(members)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert refused == won
        for member in members:
            with instance.database.transaction() as session:
                claims.release_all(StaffAct(session, instance, member))


def test_all_of_mine_are_given_back_and_nobody_elses(instance: Instance, clock) -> None:
    ana, ben = hire(instance), hire(instance, "Ben Ochoa")
    ran_out = ask(instance, phone="+13055550101", email=None, channels=frozenset({"call"})).lead
    take(instance, ran_out, ana)
    clock.move(minutes=21)
    mine = [ask(instance, phone=f"+1305555011{place}", email=f"{place}@example.org").lead for place in (1, 2)]
    theirs = ask(instance, phone="+13055550120", email="b@example.org").lead
    for lead in mine:
        take(instance, lead, ana)
    take(instance, theirs, ben)
    with instance.database.transaction() as session:
        assert claims.release_all(StaffAct(session, instance, ana)) == 2
    assert [now(instance, lead).claimed_by for lead in (*mine, theirs)] == [None, None, ben.id]
    assert acts(instance, mine[0]).count("claim.given_back") == 1
    assert "claim.given_back" not in acts(instance, ran_out)
    acting(instance, mine[0], ben, claims.claim)
