"""Development mailbox: shows mails that were caught instead of sent. Not registered in production."""

from flask import Blueprint, render_template

from intake.outbox.mailer import MaildirMailer, open_mailer
from intake.web.context import current_service

dev = Blueprint("dev", __name__)

NEWEST = 50


@dev.get("/dev/mail")
def mail() -> str:
    """The caught mails, newest first, as text; reading them changes nothing."""
    mailer = open_mailer(current_service().settings)
    caught = mailer.messages(limit=NEWEST) if isinstance(mailer, MaildirMailer) else None
    return render_template("dev/mail.html", caught=caught)
