"""Settings: where a value comes from, and that a wrong one is reported by name and never shown."""

import os
from dataclasses import fields
from pathlib import Path

import pytest
from sqlalchemy import text

from intake.conf import settings, validators
from intake.conf.secrets import SECRETS, new_secret
from intake.conf.settings import Mode, Settings, Tls
from intake.core.errors import SettingsError
from intake.core.paths import CONFIG, default_data_dir
from intake.db.engine import Database
from intake.db.migrate import upgrade
from intake.instance import Instance

KEYS = {name: new_secret(name) for name in SECRETS}
SMTP_PASSWORD = "canary-mail-password"
METRICS_TOKEN = "canary-metrics-token"


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Sets a complete production environment, then what a test changes (None takes a name away)."""

    def apply(**changes: str | None) -> None:
        environment: dict[str, str | None] = {
            "BASE_URL": "https://intake.example.org",
            "DATA_DIR": str(tmp_path / "var"),
            "SMTP_HOST": "mail.example.org",
            "SMTP_USERNAME": "intake",
            "SMTP_PASSWORD": SMTP_PASSWORD,
            "METRICS_TOKEN": METRICS_TOKEN,
            "MAIL_FROM": "intake@example.org",
            **{name.upper(): value for name, value in KEYS.items()},
            **changes,
        }
        for name, value in environment.items():
            monkeypatch.delenv(f"INTAKE_{name}", raising=False)
            if value is not None:
                monkeypatch.setenv(f"INTAKE_{name}", value)

    return apply


@pytest.fixture
def development(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Sets a development environment, then what a test changes."""

    def apply(**changes: str) -> None:
        environment = {"MODE": "development", "DATA_DIR": str(tmp_path / "var"), **changes}
        for name, value in environment.items():
            monkeypatch.setenv(f"INTAKE_{name}", value)

    return apply


def refused() -> str:
    """The message with which settings refuse to load."""
    with pytest.raises(SettingsError) as caught:
        settings.load()
    return caught.value.sentence


def short(name: str) -> str:
    """A secret of the right form with too few bytes."""
    return "k1:c2hvcnQtY2FuYXJ5" if name == "SEALING_KEYS" else "c2hvcnQtY2FuYXJ5"


def dull(name: str) -> str:
    """A secret of the right length that is not random: 32 times the same byte."""
    key = "Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M="
    return f"k1:{key}" if name == "SEALING_KEYS" else key


BAD = [
    ("MODE", "canary"),
    ("HOST", "two hosts"),
    ("HOST", "canary/24"),
    ("PORT", "canary"),
    ("PORT", "000"),
    ("PORT", "70001"),
    ("PORT", "-8123"),
    ("PORT", "8123.5"),
    ("PORT", "٨١٢٣٤٥"),
    ("BASE_URL", "canary.example.org"),
    ("BASE_URL", "ftp://canary.example.org"),
    ("BASE_URL", "http://canary.example.org"),
    ("BASE_URL", "https://canary.example.org/path"),
    ("BASE_URL", "https://name:canary@intake.example.org"),
    ("BASE_URL", "https://[canary"),
    ("BASE_URL", "https://[::1"),
    ("BASE_URL", "https://intake.example.org:99123"),
    ("BASE_URL", "https://intake.example.org:00000"),
    ("CONFIG_DIR", "/canary/nowhere"),
    ("DATA_DIR", "/tmp/canary\nbelow"),
    ("DATA_DIR", "/tmp/canary\udce9"),
    ("DATABASE_URL", "canary"),
    ("DATABASE_URL", "mysql://name:canary@db.example.org/intake"),
    ("DATABASE_URL", "postgresql://name:canary@db.example.org:port/intake"),
    ("DATABASE_URL", "postgresql://name:canary@db.example.org/intake"),
    ("DATABASE_URL", "postgresql://name:canary@/intake?host=db.example.org"),
    ("DATABASE_URL", "postgresql://name:canary@db.example.org/intake?sslmode=require"),
    ("DATABASE_URL", "postgresql://name:canary@localhost/"),
    ("DATABASE_URL", "sqlite://?canary=1"),
    ("DATABASE_URL", "sqlite:///canary.sqlite3"),
    ("DATABASE_URL", "sqlite:////srv/what?canary=1/intake.sqlite3"),
    ("DATABASE_URL", "sqlite:////srv/what?canary/intake.sqlite3"),
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("LOG_LEVEL", "CANARY"),
    ("WEB_THREADS", "00"),
    ("WEB_THREADS", "1234567"),
    ("WEB_PROCESSES", "65123"),
    ("TRUSTED_PROXIES", "11123"),
    ("SMTP_HOST", None),
    ("SMTP_PORT", "99123"),
    ("SMTP_TLS", "canary"),
    ("SMTP_TLS", "none"),
    ("SMTP_CA_FILE", "/canary/ca.pem"),
    ("SMTP_USERNAME", None),
    ("SMTP_PASSWORD", None),
    ("SMTP_TIMEOUT", "12123"),
    ("MAIL_FROM", None),
    ("MAIL_FROM", "canary"),
    ("MAIL_FROM", "Canary <canary@example.org>"),
    ("MAIL_FROM", "canary@example.org\x0bbcc"),
    ("METRICS_TOKEN", "short-canary"),
    *[(name.upper(), None) for name in SECRETS],
    *[(name.upper(), "change-me-canary") for name in SECRETS],
    *[(name.upper(), short(name.upper())) for name in SECRETS],
    *[(name.upper(), dull(name.upper())) for name in SECRETS],
    ("SEALING_KEYS", KEYS["index_key"]),
    ("SEALING_KEYS", f"{new_secret('sealing_keys')},{new_secret('sealing_keys')}"),
    ("SEALING_KEYS", new_secret("sealing_keys", key_id="Canary_")),
    ("APP_KEYS", f"{new_secret('app_keys')},"),
    ("SMTP_HSOT", "canary.example.org"),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=[f"{i}-{name}" for i, (name, _) in enumerate(BAD)])
def test_it_names_the_wrong_setting_and_never_its_value(production, name: str, value: str | None) -> None:
    production(**{name: value})
    sentence = refused()
    assert f"INTAKE_{name}: " in sentence or (value is None and f"INTAKE_{name}" in sentence)
    assert "canary" not in sentence.lower()
    assert not value or value == "none" or value not in sentence


@pytest.mark.parametrize(("name", "value"), BAD, ids=[f"{i}-{name}" for i, (name, _) in enumerate(BAD)])
def test_it_names_one_wrong_setting_and_no_other(production, name: str, value: str | None) -> None:
    production(**{name: value})
    with pytest.raises(SettingsError) as caught:
        settings.load()
    assert [problem.split(":")[0] for problem in caught.value.problems] == [f"INTAKE_{name}"]


@pytest.mark.parametrize("one", SECRETS)
@pytest.mark.parametrize("other", SECRETS)
def test_it_refuses_one_key_for_two_purposes(production, one: str, other: str) -> None:
    key = KEYS["chain_key"]
    pair = {name.upper(): f"k1:{key}" if name == "sealing_keys" else key for name in (one, other)}
    if one == other:
        pair = {name: f"{value},{value.replace('k1:', 'k2:')}" for name, value in pair.items()}
    production(**pair)
    sentence = refused()
    assert f"INTAKE_{one.upper()}" in sentence
    assert f"INTAKE_{other.upper()}" in sentence
    assert key not in sentence


def test_production_names_everything_that_is_missing_at_once(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTAKE_DATA_DIR", str(tmp_path))
    sentence = refused()
    for name in ("BASE_URL", "SMTP_HOST", "MAIL_FROM", *(secret.upper() for secret in SECRETS)):
        assert f"INTAKE_{name}: is missing" in sentence


def test_production_makes_no_keys(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTAKE_DATA_DIR", str(tmp_path))
    refused()
    assert not list(tmp_path.iterdir())


def test_a_complete_production_environment_loads(production, tmp_path: Path) -> None:
    production()
    loaded = settings.load()
    assert loaded.mode is Mode.PRODUCTION
    assert not loaded.development
    assert loaded.secure
    assert loaded.data_dir == tmp_path / "var"
    assert loaded.database_url == f"sqlite:///{tmp_path}/var/intake.sqlite3"
    assert loaded.smtp_tls is Tls.STARTTLS


def test_production_may_speak_http_to_this_machine_itself(production) -> None:
    production(BASE_URL="http://localhost:8000")
    assert not settings.load().secure


def test_plain_mail_is_fine_to_this_machine_itself(production) -> None:
    production(SMTP_HOST="127.0.0.1", SMTP_TLS="none")
    assert settings.load().smtp_tls is Tls.NONE


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://localhost/intake",
        "postgresql:///intake",
        "postgresql://name@/intake?host=/run/postgresql",
        "postgres://db.example.org/intake?sslmode=verify-full",
        "postgresql+psycopg://db.example.org:5433/intake?sslmode=verify-full",
    ],
)
def test_production_takes_a_local_postgres_or_a_verified_one(production, url: str) -> None:
    production(DATABASE_URL=url)
    assert settings.load().database_url == "postgresql+psycopg" + url[url.index("://") :]


def test_the_trailing_slash_of_the_public_address_does_not_matter(production) -> None:
    production(BASE_URL="https://intake.example.org/")
    assert settings.load().base_url == "https://intake.example.org"


def test_no_secret_shows_when_settings_are_printed(production) -> None:
    production(DATABASE_URL="postgresql://name:canary-db@localhost/intake")
    shown = repr(settings.load()) + str(settings.load())
    for secret in (*KEYS.values(), SMTP_PASSWORD, METRICS_TOKEN, "canary-db"):
        assert secret not in shown


PASSWORDS = ("database_url", "smtp_password", "alarm_smtp_password", "metrics_token")


def test_every_secret_setting_is_left_out_of_the_repr() -> None:
    hidden = {each.name for each in fields(Settings) if not each.repr}
    assert hidden == {*SECRETS, "backup_key", *PASSWORDS}


def test_every_setting_has_one_sentence_of_help() -> None:
    for each in fields(Settings):
        assert each.metadata["help"].endswith("."), each.name


def test_a_secret_may_stand_in_a_file(production, tmp_path: Path) -> None:
    path = tmp_path / "index_key"
    path.write_text(KEYS["index_key"] + "\n")
    production(INDEX_KEY=None, INDEX_KEY_FILE=str(path))
    assert settings.load().index_key == KEYS["index_key"]


def test_any_setting_may_stand_in_a_file(production, tmp_path: Path) -> None:
    (tmp_path / "port").write_text("8123\n")
    production(PORT_FILE=str(tmp_path / "port"))
    assert settings.load().port == 8123


def test_a_file_wins_over_the_name_itself(production, tmp_path: Path) -> None:
    (tmp_path / "port").write_text("8123")
    production(PORT="8456", PORT_FILE=str(tmp_path / "port"))
    assert settings.load().port == 8123


@pytest.mark.parametrize("kind", ["missing", "folder", "binary"])
def test_a_file_that_cannot_be_read_is_named_by_its_setting(production, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "canary"
    if kind == "folder":
        path.mkdir()
    if kind == "binary":
        path.write_bytes(b"\xff\xfe\x00canary")
    production(CHAIN_KEY=None, CHAIN_KEY_FILE=str(path))
    sentence = refused()
    assert "INTAKE_CHAIN_KEY_FILE: must name a readable file." in sentence
    assert "canary" not in sentence


def test_an_empty_value_counts_as_not_given(production) -> None:
    production(PORT="", LOG_LEVEL="", CONFIG_DIR="")
    loaded = settings.load()
    assert (loaded.port, loaded.log_level, loaded.config_dir) == (8000, "INFO", CONFIG)


def test_a_misspelt_name_is_reported_with_the_right_one(production) -> None:
    production(SMTP_HSOT="mail.example.org")
    assert "INTAKE_SMTP_HSOT: is not a setting. Did you mean INTAKE_SMTP_HOST?" in refused()


def test_names_for_the_test_suite_are_ignored(production, monkeypatch) -> None:
    production()
    monkeypatch.setenv("INTAKE_TEST_ANYTHING", "1")
    assert settings.load().port == 8000


def with_toml(production, folder: Path, words: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "intake.toml").write_text(words)
    production(**{words.partition(" ")[0].upper(): None, "CONFIG_DIR": str(folder)})


def test_intake_toml_gives_values(production, tmp_path: Path) -> None:
    with_toml(production, tmp_path / "config", 'port = 8123\nlog_level = "DEBUG"\nsmtp_tls = "implicit"\n')
    loaded = settings.load()
    assert (loaded.port, loaded.log_level, loaded.smtp_tls) == (8123, "DEBUG", Tls.IMPLICIT)


def test_intake_toml_may_set_the_mode(production, tmp_path: Path) -> None:
    with_toml(production, tmp_path / "config", 'mode = "development"\n')
    assert settings.load().development


def test_the_environment_wins_over_intake_toml(production, monkeypatch, tmp_path: Path) -> None:
    with_toml(production, tmp_path / "config", "port = 8123\n")
    monkeypatch.setenv("INTAKE_PORT", "8456")
    assert settings.load().port == 8456


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("prot = 8123", "intake.toml: prot: is not a setting."),
        ('port = "canary"', "intake.toml: port: must be a whole number."),
        ("port = true", "intake.toml: port: must be a whole number."),
        ("port = 8123.5", "intake.toml: port: must be a whole number."),
        ("smtp_host = 8123", "intake.toml: smtp_host: must be text."),
        ('smtp_host = ["canary"]', "intake.toml: smtp_host: must be text."),
        ('mode = "canary"', "intake.toml: mode: must be one of production, development."),
        ("data_dir = 8123", "intake.toml: data_dir: must be text."),
        ("port = = 8123", "intake.toml: cannot be read (TOMLDecodeError)."),
        ('config_dir = "/canary"', "intake.toml: config_dir: may not stand"),
        ('index_key = "canary"', "intake.toml: index_key: may not stand"),
        ('smtp_password = "canary"', "intake.toml: smtp_password: may not stand"),
        ('metrics_token = "canary"', "intake.toml: metrics_token: may not stand"),
        ('database_url = "postgresql://canary"', "intake.toml: database_url: may not stand"),
    ],
)
def test_intake_toml_is_refused_by_name(production, tmp_path: Path, words: str, named: str) -> None:
    with_toml(production, tmp_path / "config", words)
    sentence = refused()
    assert named in sentence
    assert "canary" not in sentence
    assert "8123" not in sentence


def test_a_file_that_is_not_utf_8_is_reported_by_name(production, tmp_path: Path) -> None:
    with_toml(production, tmp_path / "config", "")
    (tmp_path / "config" / "intake.toml").write_bytes(b'smtp_host = "\xff"')
    assert "intake.toml: cannot be read (UnicodeDecodeError)." in refused()


def test_a_wrong_file_beside_a_good_toml_value_is_still_an_expected_failure(production, tmp_path) -> None:
    with_toml(production, tmp_path / "config", 'port = "8123"\n')
    production(CONFIG_DIR=str(tmp_path / "config"), PORT_FILE=str(tmp_path / "nowhere"))
    assert refused() == "INTAKE_PORT_FILE: must name a readable file."


def test_the_data_folder_may_not_be_a_file(production, tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("")
    production(DATA_DIR=str(tmp_path / "canary" / "var"))
    sentence = refused()
    assert sentence.startswith("INTAKE_DATA_DIR: must be a folder")
    assert "canary" not in sentence


def test_the_data_folder_is_the_same_wherever_a_command_runs(production, monkeypatch, tmp_path) -> None:
    production(DATA_DIR=None)
    monkeypatch.chdir(tmp_path)
    assert settings.load().data_dir == default_data_dir()
    assert settings.load().data_dir.is_absolute()


def test_the_data_folder_may_start_with_a_tilde(production, monkeypatch, tmp_path: Path) -> None:
    production(DATA_DIR="~/intake")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings.load().data_dir == tmp_path / "intake"


def test_development_needs_nothing(development, tmp_path: Path) -> None:
    development()
    loaded = settings.load()
    assert loaded.development
    assert loaded.base_url == "http://127.0.0.1:8000"
    assert loaded.mail_from == "intake@example.org"
    assert loaded.database_url == f"sqlite:///{tmp_path}/var/intake.sqlite3"


def test_development_keeps_its_keys(development) -> None:
    development()
    first, second = settings.load(), settings.load()
    assert [getattr(first, name) for name in SECRETS] == [getattr(second, name) for name in SECRETS]


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0.0.0.0", "http://localhost:8123"),  # noqa: S104  compared with, not listened on
        ("::", "http://localhost:8123"),
        ("::1", "http://[::1]:8123"),
        ("box.example.org", "http://box.example.org:8123"),
    ],
)
def test_development_knows_its_own_address(development, host: str, address: str) -> None:
    development(HOST=host, PORT="8123")
    assert settings.load().base_url == address


def test_development_says_when_it_cannot_keep_its_keys(development, tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    development()
    sentence = refused()
    assert sentence.count("INTAKE_DATA_DIR: must be a folder that can be written") == 1
    assert str(tmp_path) not in sentence


ODD = [
    "a%41b",
    "%20",
    "%(here)s",
    "what?x=1",
    "what?",
    "a#b",
    "mi clínica",
    "a;b:c",
    "a'b\"c",
    "a\\b&c",
    "[*]",
    "{{x}}",
    "$HOME",
]
"""Folder names that mean something to an address, a configuration file, a shell or a pattern."""


@pytest.mark.parametrize("name", ODD)
def test_the_database_is_in_the_data_folder_whatever_its_name(development, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    development(DATA_DIR=str(folder))
    instance = Instance.from_settings(settings.load())
    upgrade(instance.database)
    with instance.database.transaction() as session:
        assert session.execute(text("PRAGMA database_list")).one().file == str(folder / "intake.sqlite3")
    instance.database.close()
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["ANCHOR_FILE", "BACKUP_DIR", "CONFIG_DIR", "SMTP_CA_FILE"])
def test_a_path_that_no_log_can_show_is_refused(production, name: str) -> None:
    production(**{name: "/tmp/canary\x1b[1m"})
    assert f"INTAKE_{name}: must be a path in UTF-8" in refused()


def test_a_character_may_be_escaped_in_the_address_of_a_file(production, tmp_path: Path) -> None:
    folder = tmp_path / "what?"
    folder.mkdir()
    production(DATABASE_URL=f"sqlite:///{tmp_path}/what%3F/clinic.sqlite3")
    database = Database(settings.load().database_url, lock=tmp_path / "lock")
    upgrade(database)
    database.close()
    assert (folder / "clinic.sqlite3").is_file()


def test_a_folder_that_may_not_be_looked_into_is_refused(tmp_path: Path) -> None:
    """Asked by another account, as an operator does who runs a command with the service's settings."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    values = {"config_dir": closed / "config", "data_dir": closed / "var"}
    root = os.geteuid() == 0
    closed.chmod(0o700 if root else 0)
    if root:
        os.setresuid(65534, 65534, 0)
    try:
        names = [name for name, _ in validators._folders(values)]
    finally:
        if root:
            os.setresuid(0, 0, 0)
        closed.chmod(0o700)
    assert names == ["CONFIG_DIR", "DATA_DIR"]
