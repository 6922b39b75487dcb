"""The desk, as a table of contents: its addresses, and what all its pages know."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, g

from intake.web import desk_health, desk_lead, desk_log, desk_numbers, desk_queue, desk_words, guards

desk = Blueprint("desk", __name__, url_prefix="/desk")
desk.before_request(guards.speak_as_the_browser_asks)

PAGES: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("", desk_queue.queue_page),
    ("/leads/<uuid:lead_id>", desk_lead.lead_page),
    ("/stop", desk_queue.stop_page),
    ("/log", desk_log.log_page),
    ("/numbers", desk_numbers.numbers_page),
)
ACTS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("/find", desk_queue.find_lead),
    ("/leads/<uuid:lead_id>/claim", desk_lead.claim),
    ("/leads/<uuid:lead_id>/give-back", desk_lead.give_back),
    ("/leads/<uuid:lead_id>/reveal", desk_lead.reveal),
    ("/leads/<uuid:lead_id>/outcome", desk_lead.outcome),
    ("/leads/<uuid:lead_id>/close", desk_lead.close),
    ("/stop", desk_queue.stop_anyone),
    ("/log/verify", desk_log.verify),
    ("/numbers/save", desk_numbers.save_numbers),
)
for rule, view in PAGES:
    desk.add_url_rule(rule, view_func=view, methods=["GET"])
for rule, view in ACTS:
    desk.add_url_rule(rule, view_func=view, methods=["POST"])


@desk.context_processor
def known() -> dict[str, Any]:
    """What all its pages know: who is here, the form token, how times are said, and what is wrong."""
    return {
        "member": g.get("member"),
        "csrf_token": guards.csrf_token,
        "say": desk_words,
        "troubles": desk_health.troubles,
    }
