"""What to say: the words in the person's language, the directions beside them in the staff's.

Ask for the name; make sure that it is them and that they can talk; only then name the clinic. To
anybody else nothing is said (promise G3, OC-08 to OC-10).
"""

from dataclasses import dataclass

from intake.casework.lead_detail import View
from intake.conf.clinic import Channel, shown
from intake.core.i18n import N_, gettext, translate
from intake.web.context import here

NAME = "[ … ]"
"""Where the name will stand once it is revealed."""
HELLO = N_("Hello, is %(name)s there?")
PRIVATE = N_("Is this a good moment, and can you talk in private?")
WHO_WE_ARE = N_("This is %(staff)s from %(clinic)s. You asked us to call about a free consultation.")
SOMEBODY_ELSE = N_("No problem, I will try again. Thank you.")
VOICEMAIL = N_("Hi, this is %(staff)s. Please call me back at %(number)s. Thank you.")
TEXT = N_(
    "This is %(staff)s from %(clinic)s. You asked us to write. When is a good time to talk? "
    "Our number is %(number)s. Reply STOP to end texts."
)
SUBJECT = N_("Your request")
EMAIL = N_(
    "Hello %(name)s, you asked us to write to you. When is a good time to talk? Answer here, or call "
    "%(number)s. If you want us to stop, say so in one word. %(staff)s, %(clinic)s"
)


@dataclass(frozen=True)
class Line:
    """One step: a direction for staff, then the words to say, then another direction."""

    before: str
    quote: str = ""
    after: str = ""


def script(view: View, channel: Channel) -> list[Line]:
    """The steps for one channel, with the name where it has been revealed."""
    return {Channel.CALL: _call, Channel.TEXT: _text, Channel.EMAIL: _email}[channel](view)


def _call(view: View) -> list[Line]:
    return [
        Line("", _say(view, HELLO)),
        Line(gettext("If it is them:"), _say(view, PRIVATE)),
        Line(gettext("If they can talk, and only then:"), _say(view, WHO_WE_ARE)),
        Line(
            gettext("If somebody else answers:"),
            _say(view, SOMEBODY_ELSE),
            gettext("No message, no clinic name, no reason."),
        ),
        _nobody_answers(view),
    ]


def _nobody_answers(view: View) -> Line:
    if view.standing.voicemail:
        return Line(gettext("If nobody answers:"), _say(view, VOICEMAIL), gettext("Not one word more."))
    return Line(gettext("If nobody answers, hang up."), after=gettext("No voicemail."))


def _text(view: View) -> list[Line]:
    return [
        Line(gettext("Write, and nothing about health:"), _say(view, TEXT)),
        Line(gettext("Others may see it. Wait for the answer; do not send it twice.")),
    ]


def _email(view: View) -> list[Line]:
    return [
        Line(gettext("Subject:"), _say(view, SUBJECT)),
        Line(gettext("Write, and nothing about health:"), _say(view, EMAIL)),
    ]


def _say(view: View, words: str) -> str:
    """The words in the language they chose."""
    clinic = here().clinic
    name = next((each.name for each in view.revealed.values()), NAME)
    return translate(
        words,
        view.lead.language,
        name=name,
        staff=view.member.name.partition(" ")[0],
        clinic=clinic.name,
        number=shown(clinic.calls_from),
    )
