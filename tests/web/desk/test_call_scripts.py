"""The words to say: short, in the person's language, nothing about health, the clinic only to the person."""

import pytest

from intake.conf.clinic import format_phone, load
from intake.core.i18n import LANGUAGES, translate
from intake.core.paths import CONFIG
from intake.web.desk import lead_actions

WORDS = {"name": "Rosa", "staff": "Ana", "number": "(305) 555-0142", "clinic": "Harbor Lane Clinic"}
HEALTH = (
    "ketamin",
    "depress",
    "addict",
    "health",
    "treatment",
    "adicc",
    "salud",
    "depresi",
    "tratam",
    "doctor",
)
NAMELESS = (lead_actions.HELLO, lead_actions.PRIVATE, lead_actions.SOMEBODY_ELSE, lead_actions.VOICEMAIL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_fits_into_one_message(language: str) -> None:
    clinic = load(CONFIG / "clinic.toml")
    text = translate(
        lead_actions.TEXT,
        language,
        **{**WORDS, "clinic": clinic.name, "number": format_phone(clinic.calls_from)},
    )
    assert len(text) <= 160
    assert {"en": "STOP", "es": "ALTO"}[language] in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "words", [*NAMELESS, lead_actions.WHO_WE_ARE, lead_actions.TEXT, lead_actions.SUBJECT, lead_actions.EMAIL]
)
def test_no_word_tells_about_health(words: str, language: str) -> None:
    text = translate(words, language, **WORDS).lower()
    assert not [each for each in HEALTH if each in text]
    if language == "es":
        assert text != translate(words, "en", **WORDS).lower()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("words", NAMELESS)
def test_what_others_may_hear_does_not_name_the_clinic(words: str, language: str) -> None:
    assert "Harbor" not in translate(words, language, **WORDS)
