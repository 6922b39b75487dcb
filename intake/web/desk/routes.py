"""URL map of the desk."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint

from intake.web.auth import guards
from intake.web.auth.login import login
from intake.web.desk import (
    account,
    accounts,
    audit_log,
    layout,
    lead,
    operations,
    phone,
    privacy,
    queue,
    statistics,
    team,
)

desk = Blueprint("desk", __name__, url_prefix="/desk")
desk.before_request(guards.set_language_from_browser)
desk.after_request(guards.set_renewed_cookie)
desk.context_processor(layout.template_context)
login.context_processor(layout.template_context)

PAGES: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("", queue.queue_page),
    ("/rows", queue.queue_rows),
    ("/handover", queue.handover_page),
    ("/team", team.team_page),
    ("/hours", queue.hours_page),
    ("/leads/<uuid:lead_id>", lead.lead_page),
    ("/phone", phone.phone_page),
    ("/stop", queue.stop_page),
    ("/log", audit_log.log_page),
    ("/leads/<uuid:lead_id>/looks", privacy.looks_page),
    ("/statements", privacy.statements_page),
    ("/stops", privacy.stops_page),
    ("/numbers", statistics.numbers_page),
    ("/account", account.account_page),
    ("/account/factor", account.factor_page),
    ("/account/left", account.session_time_left),
    ("/account/stay", account.extend_session),
    ("/accounts", accounts.accounts_page),
    ("/holds", privacy.holds_page),
    ("/evidence", privacy.evidence_page),
    ("/service", operations.doctor_page),
    ("/service/mail", operations.mail_page),
    ("/service/rounds", operations.jobs_page),
    ("/service/settings", operations.settings_page),
)
ACTS: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("/find", queue.find_lead),
    ("/give-back", queue.release_all_claims),
    ("/team/share", team.share_out),
    ("/team/take-back", team.revoke_claim),
    ("/leads/<uuid:lead_id>/claim", lead.claim),
    ("/leads/<uuid:lead_id>/give-back", lead.release_claim),
    ("/leads/<uuid:lead_id>/reveal", lead.reveal),
    ("/leads/<uuid:lead_id>/outcome", lead.outcome),
    ("/leads/<uuid:lead_id>/close", lead.close),
    ("/leads/<uuid:lead_id>/lift", lead.lift),
    ("/leads/<uuid:lead_id>/note", lead.save_note),
    ("/leads/<uuid:lead_id>/hold", privacy.hold_lead),
    ("/leads/<uuid:lead_id>/release", privacy.release_hold),
    ("/holds/postpone", privacy.postpone_retention),
    ("/leads/<uuid:lead_id>/undo", lead.undo_act),
    ("/leads/<uuid:lead_id>/again", lead.lead_page_again),
    ("/phone", phone.take_request),
    ("/stop", queue.stop_anyone),
    ("/log/verify", audit_log.verify),
    ("/log/find", audit_log.log_of_reference),
    ("/log/save", audit_log.save_log),
    ("/numbers/save", statistics.save_numbers),
    ("/account/password", account.change_password),
    ("/account/factor", account.change_factor),
    ("/account/codes", account.new_codes),
    ("/account/passkeys", account.add_passkey),
    ("/account/passkeys/<uuid:passkey_id>/remove", account.remove_passkey),
    ("/account/sessions/end-others", account.end_others),
    ("/account/sessions/<uuid:session_id>/end", account.end_session),
    ("/accounts/invite", accounts.invite),
    ("/accounts/<uuid:staff_id>/roles", accounts.set_roles),
    ("/accounts/<uuid:staff_id>/disable", accounts.disable),
    ("/accounts/<uuid:staff_id>/enable", accounts.enable),
    ("/accounts/<uuid:staff_id>/reset", accounts.reset),
    ("/evidence/save", privacy.save_evidence),
    ("/service/mail/again", operations.send_all_again),
    ("/service/mail/<uuid:message_id>/again", operations.send_again),
)
for rule, view in PAGES:
    desk.add_url_rule(rule, view_func=view, methods=["GET"])
for rule, view in ACTS:
    desk.add_url_rule(rule, view_func=view, methods=["POST"])
