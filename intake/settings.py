"""Every knob of a running service: name, type, default and one sentence of help.

A value comes from `INTAKE_<NAME>`, else from the file that `INTAKE_<NAME>_FILE` names, else from
`intake.toml` in the configuration folder, else from the default here. What is wrong is told all at
once and by name, never by value (reliability.md J12): a secret must not reach a terminal or a log.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from environs import EnvError, FileAwareEnv

from intake.errors import SettingsError
from intake.keys import SECRETS, check_secrets, development_secret
from intake.resources import CONFIG, default_data_dir

PREFIX = "INTAKE_"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MAX_PORT, MAX_TIMEOUT, MAX_THREADS, MAX_PROCESSES, MIN_TOKEN = 65535, 120, 256, 64, 16


class Mode(StrEnum):
    """How careful the service must be."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class Tls(StrEnum):
    """How the connection to the mail server is protected."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


def knob(default: Any, doc: str, *, secret: bool = False) -> Any:
    """One setting: its default (None: must be given in production) and its help."""
    return field(default=default, metadata={"help": doc}, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one instance, checked. Secrets do not show in its repr."""

    mode: Mode = knob(Mode.PRODUCTION, "production, or development (plain http, caught mail, /dev/mail).")
    host: str = knob("127.0.0.1", "Address the web server listens on.")
    port: int = knob(8000, "Port the web server listens on.")
    base_url: str = knob(None, "Public address of this service, like https://ask.example.org.")
    data_dir: Path = knob(None, "Folder for the database, caught mail, locks and logs; default var/.")
    config_dir: Path = knob(CONFIG, "Folder with clinic.toml, calling_hours.toml and consent/.")
    database_url: str = knob(
        None, "SQLAlchemy address; default a SQLite file in the data folder.", secret=True
    )
    log_level: str = knob("INFO", "DEBUG, INFO, WARNING or ERROR.")
    web_threads: int = knob(8, "Threads of one web process.")
    web_processes: int = knob(1, "Web processes over one bound socket; more than 1 needs PostgreSQL.")
    trusted_proxies: int = knob(0, "How many proxies in front may set X-Forwarded-For and -Proto.")
    smtp_host: str = knob("", "Mail server; empty only in development, where mail is caught in mail/.")
    smtp_port: int = knob(587, "Port of the mail server.")
    smtp_tls: Tls = knob(Tls.STARTTLS, "starttls, implicit, or none (only to this machine itself).")
    smtp_ca_file: str = knob("", "Extra certificate authority for the mail server, as a PEM file.")
    smtp_username: str = knob("", "Account at the mail server; empty: none.")
    smtp_password: str = knob("", "Password at the mail server.", secret=True)
    smtp_timeout: int = knob(20, "Seconds to wait for the mail server at each step.")
    mail_from: str = knob("", "Sender of notices, like intake@example.org.")
    metrics_token: str = knob("", "Bearer token for /metrics; empty closes it.", secret=True)
    sealing_keys: str = knob(None, "id:key, newest first, comma between; seals leads; rotates.", secret=True)
    index_key: str = knob(
        None, "Key for look-ups, proof and do-not-contact codes; never rotates.", secret=True
    )
    chain_key: str = knob(None, "Key that authenticates the audit log and consent events.", secret=True)
    app_keys: str = knob(None, "Keys for form tokens, sessions and receipts, newest first.", secret=True)

    @property
    def development(self) -> bool:
        """True in development mode."""
        return self.mode is Mode.DEVELOPMENT

    @property
    def secure(self) -> bool:
        """True when the public address is https, which decides the cookies' Secure and __Host-."""
        return self.base_url.startswith("https://")

    @property
    def sqlite(self) -> bool:
        """True when the database is a SQLite file."""
        return self.database_url.startswith("sqlite")


def load() -> Settings:
    """The settings of this process. Raises SettingsError with every problem at once."""
    problems: list[str] = []
    values = _read(problems)
    _fill(values)
    _check(values, problems)
    if problems:
        raise SettingsError(problems)
    return Settings(**values)


def _read(problems: list[str]) -> dict[str, Any]:
    env = FileAwareEnv(prefix=PREFIX, strip_whitespace=True)
    values: dict[str, Any] = {}
    written: Mapping[str, object] = {}
    for knob_ in sorted(fields(Settings), key=lambda each: each.name not in ("mode", "config_dir")):
        if knob_.name not in ("mode", "config_dir") and not written:
            written = _toml(Path(values["config_dir"]), problems) or {"": None}
        values[knob_.name] = _one(env, knob_, written, problems)
    return values


def _toml(folder: Path, problems: list[str]) -> Mapping[str, object]:
    path = folder / "intake.toml"
    if not path.exists():
        return {}
    try:
        written = tomllib.loads(path.read_text())
    except (OSError, ValueError) as wrong:
        problems.append(f"intake.toml: cannot be read ({type(wrong).__name__}).")
        return {}
    known = {each.name for each in fields(Settings)} - set(SECRETS)
    problems += [
        f"intake.toml: {key}: is not a setting that may stand there." for key in written if key not in known
    ]
    return {key: value for key, value in written.items() if key in known}


def _one(env: FileAwareEnv, knob_: "Field[Any]", written: Mapping[str, object], problems: list[str]) -> Any:
    name = knob_.name.upper()
    default = written.get(knob_.name, knob_.default)
    try:
        given = env.str(name, None)
    except (EnvError, ValueError, OSError):
        problems.append(f"{PREFIX}{name}_FILE: must name a readable file.")
        return default
    try:
        return _as(knob_.type, given if given is not None else default)
    except (ValueError, TypeError):
        problems.append(f"{PREFIX}{name}: {_wanted(knob_.type)}")
        return knob_.default


def _as(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if kind is int and not re.fullmatch(r"\d{1,6}", str(value)):
        raise ValueError
    return kind(value)


def _wanted(kind: Any) -> str:
    if kind is int:
        return "must be a whole number."
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"must be one of {', '.join(kind)}."
    return "cannot be read."


def _fill(values: dict[str, Any]) -> None:
    """The defaults that depend on other settings."""
    values["data_dir"] = (values["data_dir"] or default_data_dir()).absolute()
    values["database_url"] = _database_url(values["database_url"], values["data_dir"])
    if values["mode"] is not Mode.DEVELOPMENT:
        return
    values["base_url"] = values["base_url"] or f"http://{values['host']}:{values['port']}"
    values["mail_from"] = values["mail_from"] or "intake@example.org"
    for name in SECRETS:
        values[name] = values[name] or development_secret(values["data_dir"] / "keys", name)


def _database_url(given: str | None, folder: Path) -> str:
    if not given:
        return f"sqlite:///{folder / 'intake.sqlite3'}"
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", given)


def _check(values: Mapping[str, Any], problems: list[str]) -> None:
    problems += check_secrets({name: values[name] for name in SECRETS})
    problems += [f"{PREFIX}{name}: {why}" for name, why, wrong in _rules(values) if wrong]


def _rules(values: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """What must hold between settings: (name, what to do, whether it is broken)."""
    url, address = values["database_url"], urlsplit(values["base_url"] or "")
    production = values["mode"] is not Mode.DEVELOPMENT
    smtp = values["smtp_host"]
    plain = production and address.scheme == "http" and address.hostname not in LOOPBACK
    return [
        ("BASE_URL", "is missing: the public address, like https://ask.example.org.", not values["base_url"]),
        ("BASE_URL", "must be http(s)://name[:port] and nothing more.", not _bare(values["base_url"])),
        ("BASE_URL", "must be https in production, except on this machine itself.", plain),
        ("PORT", "must be from 1 to 65535.", not 0 < values["port"] <= MAX_PORT),
        ("SMTP_PORT", "must be from 1 to 65535.", not 0 < values["smtp_port"] <= MAX_PORT),
        ("SMTP_HOST", "is missing: without it no notice reaches the staff.", production and not smtp),
        ("SMTP_TLS", "may be none only when the mail server is this machine.", _plain_mail(values)),
        ("SMTP_TIMEOUT", "must be from 1 to 120 seconds.", not 0 < values["smtp_timeout"] <= MAX_TIMEOUT),
        ("SMTP_CA_FILE", "must name a readable file.", _missing(values["smtp_ca_file"])),
        (
            "MAIL_FROM",
            "is missing or not an address.",
            not re.fullmatch(r"[^@\s]+@[^@\s]+", values["mail_from"]),
        ),
        ("LOG_LEVEL", "must be DEBUG, INFO, WARNING or ERROR.", values["log_level"] not in LOG_LEVELS),
        ("WEB_THREADS", "must be from 1 to 256.", not 0 < values["web_threads"] <= MAX_THREADS),
        ("WEB_PROCESSES", "must be from 1 to 64.", not 0 < values["web_processes"] <= MAX_PROCESSES),
        (
            "DATABASE_URL",
            "must be a sqlite or postgresql address.",
            not re.match(r"(sqlite|postgresql\+psycopg)://", url),
        ),
        (
            "DATABASE_URL",
            "must ask for sslmode=verify-full when PostgreSQL is elsewhere.",
            production and _open_database(url),
        ),
        ("METRICS_TOKEN", "must have 16 characters or more.", 0 < len(values["metrics_token"]) < MIN_TOKEN),
    ]


def _bare(url: str | None) -> bool:
    return not url or bool(re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", url))


def _missing(path: str) -> bool:
    return bool(path) and not Path(path).is_file()


def _plain_mail(values: Mapping[str, Any]) -> bool:
    return (
        values["smtp_tls"] is Tls.NONE and bool(values["smtp_host"]) and values["smtp_host"] not in LOOPBACK
    )


def _open_database(url: str) -> bool:
    """True for a PostgreSQL elsewhere whose certificate is not verified (compliance.md ST-05)."""
    if not url.startswith("postgresql"):
        return False
    parts = urlsplit(url)
    local = parts.hostname in (None, "", *LOOPBACK) or "host=/" in parts.query
    return not local and "sslmode=verify-full" not in parts.query
