"""Assignment and revocation: evenly, only unclaimed leads, always recorded and shown (G2, N2, W1)."""

import threading
import uuid
from collections import Counter
from collections.abc import Sequence

import pytest

from intake.accounts import service
from intake.accounts.models import Role
from intake.accounts.permissions import Member, StaffAct
from intake.act import Act
from intake.casework import assignment, lead_detail
from intake.casework import outcomes as casework_outcomes
from intake.casework.assignment import AssignmentResult, Selection
from intake.core.errors import NotAllowed, Refused, Unprocessable
from intake.instance import Instance
from intake.leads import claims, reminders
from intake.leads.claims import ASSIGNMENT_DURATION, CLAIM_DURATION, ClaimedByAnother
from intake.leads.models import Lead, Outcome
from tests.conftest import MovableClock
from tests.factories import acting, acts, ask, details_of, hire, note, now, show, somebody, take


@pytest.fixture
def sue(instance: Instance) -> Member:
    return hire(instance, "Sue Perez", Role.SUPERVISOR)


def free(lead: Lead) -> Selection:
    return Selection(lead.id, version=lead.version)


def hand(instance: Instance, picks: Sequence[Selection], member: Member, *to: Member) -> AssignmentResult:
    with instance.database.transaction() as session:
        people = {each.id for each in to}
        return assignment.distribute(StaffAct(session, instance, member), picks, to=people)


def fetch(instance: Instance, lead: Lead, holder: Member, member: Member) -> AssignmentResult:
    with instance.database.transaction() as session:
        picks = [Selection(lead.id, holder=holder.id)]
        return assignment.revoke(StaffAct(session, instance, member), picks)


def test_several_get_them_evenly_and_each_holds_theirs_for_an_hour(instance: Instance, sue: Member) -> None:
    ana, ben = hire(instance), hire(instance, "Ben Ochoa")
    leads = [somebody(instance, place) for place in range(5)]
    assert hand(instance, [free(each) for each in leads], sue, ana, ben) == AssignmentResult(5, 0)
    held = [now(instance, lead) for lead in leads]
    assert sorted(Counter(each.claimed_by for each in held).values()) == [2, 3]
    assert {each.claimed_until for each in held} == {instance.clock() + ASSIGNMENT_DURATION}
    with pytest.raises(ClaimedByAnother):
        take(instance, leads[0], ana if held[0].claimed_by == ben.id else ben)
    assert acts(instance, leads[0]) == ["claim.handed", "lead.submitted"]
    assert str(held[0].claimed_by) in "".join(details_of(instance, "claim.handed"))


def test_two_requests_of_one_person_go_to_one_colleague(instance: Instance, sue: Member) -> None:
    ana, ben = hire(instance), hire(instance, "Ben Ochoa")
    one, again, other = ask(instance).lead, ask(instance).lead, somebody(instance, 1)
    assert hand(instance, [free(each) for each in (one, again, other)], sue, ana, ben).skipped == 0
    assert now(instance, one).claimed_by == now(instance, again).claimed_by


def test_what_somebody_took_changed_or_closed_meanwhile_stays_as_it_is(
    instance: Instance, sue: Member
) -> None:
    ana, ben = hire(instance), hire(instance, "Ben Ochoa")
    taken, tried, done, same_number, still = (somebody(instance, place) for place in range(5))
    other = ask(instance, phone="+13055550103", email="other@example.org").lead
    picks = [free(each) for each in (taken, tried, done, other, still)]
    take(instance, taken, ben)
    take(instance, tried, ben)
    note(instance, tried, ben, Outcome.NO_ANSWER)
    version = now(instance, done).version
    acting(
        instance,
        done,
        ben,
        casework_outcomes.close,
        reason=casework_outcomes.CHOSEN_CLOSE_REASONS[0],
        version=version,
    )
    take(instance, same_number, ben)
    assert hand(instance, picks, sue, ana) == AssignmentResult(1, 4)
    holders = [now(instance, each).claimed_by for each in (taken, tried, done, other, still)]
    assert holders == [ben.id, None, None, None, ana.id]


def test_a_request_that_is_not_there_is_left(instance: Instance, sue: Member) -> None:
    assert hand(instance, [Selection(uuid.uuid4(), version=1)], sue, hire(instance)) == AssignmentResult(0, 1)


def test_whoever_may_not_call_or_is_gone_gets_none(instance: Instance, sue: Member) -> None:
    lead, officer = somebody(instance, 1), hire(instance, "Pia Ott", Role.PRIVACY_OFFICER)
    gone = hire(instance, "Ben Ochoa")
    with instance.database.transaction() as session:
        service.disable(Act(session, instance), staff_id=gone.id)
    for chosen in ([], [officer], [gone], [hire(instance), gone]):
        with pytest.raises(Unprocessable) as refused:
            hand(instance, [free(lead)], sue, *chosen)
        assert list(refused.value.problems) == ["to"]
    with pytest.raises(Unprocessable):
        hand(instance, [], sue, sue)
    assert now(instance, lead).claimed_by is None


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.PRIVACY_OFFICER, Role.ADMIN])
def test_only_a_supervisor_shares_out_and_takes_back(instance: Instance, role: Role) -> None:
    ana, lead = hire(instance, "Ana Ruiz", role), somebody(instance, 1)
    with pytest.raises(NotAllowed):
        hand(instance, [free(lead)], ana, ana)
    with pytest.raises(NotAllowed):
        fetch(instance, lead, ana, ana)


def test_a_request_that_was_only_handed_over_still_escalates(
    instance: Instance, sue: Member, clock: MovableClock
) -> None:
    ana, lead = hire(instance), somebody(instance, 1)
    clock.move(minutes=instance.clinic.notices.reminder_minutes)
    hand(instance, [free(lead)], sue, ana)
    with instance.database.reading() as session:
        assert reminders.count_unopened(Act(session, instance)) == 1
    take(instance, lead, ana)
    with instance.database.reading() as session:
        assert reminders.count_unopened(Act(session, instance)) == 0


def test_their_own_first_act_makes_a_usual_hold_of_it_and_it_ends_by_itself(
    instance: Instance, sue: Member, clock: MovableClock
) -> None:
    ana, lead, other = hire(instance), somebody(instance, 1), somebody(instance, 2)
    hand(instance, [free(lead), free(other)], sue, ana)
    show(instance, lead, ana)
    assert now(instance, lead).claimed_until == clock() + CLAIM_DURATION
    clock.move(minutes=60)
    take(instance, other, hire(instance, "Ben Ochoa"))


def test_what_an_earlier_hold_revealed_does_not_show_in_one_that_was_handed_over(
    instance: Instance, sue: Member, clock: MovableClock
) -> None:
    ana, lead = hire(instance), somebody(instance, 1)
    show(instance, lead, ana)
    clock.move(minutes=21)
    hand(instance, [free(lead)], sue, ana)
    with instance.database.transaction() as session:
        assert not lead_detail.lead_view(StaffAct(session, instance, ana), lead.id).revealed


def test_taking_back_frees_it_for_everybody_and_says_whose_it_was(instance: Instance, sue: Member) -> None:
    ana, lead = hire(instance), somebody(instance, 1)
    take(instance, lead, ana)
    assert fetch(instance, lead, ana, sue) == AssignmentResult(1, 0)
    assert details_of(instance, "claim.taken_back") == [f'{{"from":"{ana.id}"}}']
    take(instance, lead, hire(instance, "Ben Ochoa"))


def test_only_the_hold_that_the_page_showed_ends(
    instance: Instance, sue: Member, clock: MovableClock
) -> None:
    ana, ben, lead = hire(instance), hire(instance, "Ben Ochoa"), somebody(instance, 1)
    take(instance, lead, ana)
    clock.move(minutes=21)
    assert fetch(instance, lead, ana, sue) == AssignmentResult(
        0, 1
    )  # ran out by itself: she may still say how it went
    take(instance, lead, ben)
    assert fetch(instance, lead, ana, sue) == AssignmentResult(0, 1)
    take(instance, mine := somebody(instance, 2), sue)
    assert fetch(instance, mine, sue, sue) == AssignmentResult(0, 1)  # one's own is given back
    assert now(instance, lead).claimed_by == ben.id
    assert "claim.taken_back" not in acts(instance)


def test_of_a_click_and_a_sharing_out_at_once_one_wins(instance: Instance, sue: Member) -> None:
    ana, ben = hire(instance), hire(instance, "Ben Ochoa")
    for place in range(4):
        lead, start, outcomes = somebody(instance, place), threading.Barrier(2), {}

        def click(lead: Lead = lead, start=start, outcomes=outcomes) -> None:
            start.wait()
            try:
                take(instance, lead, ben)
                outcomes["click"] = 1
            except Refused:
                outcomes["click"] = 0

        def share(lead: Lead = lead, start=start, outcomes=outcomes) -> None:
            start.wait()
            outcomes["share"] = hand(instance, [free(lead)], sue, ana).done

        threads = [threading.Thread(target=each) for each in (click, share)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(outcomes.values()) == 1
        assert now(instance, lead).claimed_by == (ben.id if outcomes["click"] else ana.id)


def test_two_supervisors_who_share_out_the_same_at_once_hand_each_over_once(
    instance: Instance, sue: Member
) -> None:
    ana, ben = hire(instance), hire(instance, "Ben Ochoa")
    picks = [free(somebody(instance, place)) for place in range(6)]
    start, done = threading.Barrier(2), []

    def share(order: Sequence[Selection], to: Member) -> None:
        start.wait()
        done.append(hand(instance, order, sue, to).done)

    threads = [threading.Thread(target=share, args=each) for each in ((picks, ana), (picks[::-1], ben))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(done) == len(picks)
    assert acts(instance).count("claim.handed") == len(picks)


def test_the_page_costs_the_same_however_much_there_is(instance: Instance, sue: Member, statements) -> None:
    ana, costs = hire(instance), []
    for places in (range(1, 5), range(5, 15)):
        for place in places:
            lead = somebody(instance, place)
            if place % 2:
                take(instance, lead, ana)
        with instance.database.reading() as session, statements(instance) as sent:
            found = assignment.team(StaffAct(session, instance, sue))
        costs.append(len(sent))
    assert costs[0] == costs[1]
    assert (found.free.total, len(found.claimed)) == (7, 7)
    assert claims.ASSIGNMENT_DURATION > claims.CLAIM_DURATION
