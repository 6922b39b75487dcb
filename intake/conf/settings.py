"""Every setting of the service: name, type, default and one sentence of help.

A value comes from the file named by `INTAKE_<NAME>_FILE`, else from `INTAKE_<NAME>`, else from
`intake.toml` in the configuration folder, else from the default here; an empty one counts as not given.
All problems are reported at once, by name and never by value: a secret must not reach a terminal or a
log.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any

from environs import EnvError, FileAwareEnv
from sqlalchemy.engine import URL

from intake.conf import validators
from intake.conf.secrets import BACKUP_KEY, SECRETS, check_secrets, development_secret
from intake.core.errors import SettingsError
from intake.core.paths import CONFIG, default_data_dir

PREFIX = "INTAKE_"
FOR_TESTS = "INTAKE_TEST_"
"""Prefix of names that only the test suite reads; the service ignores them."""
ALL_INTERFACES = ("0.0.0.0", "::")  # noqa: S104  compared with, not bound


class Mode(StrEnum):
    """Production, or development with plain http and caught mail."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class Outbound(StrEnum):
    """Whether the service may send requests to other sites."""

    NO = "no"
    YES = "yes"


class Tls(StrEnum):
    """Encryption of the connection to a mail server."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


def setting(default: Any, doc: str, *, secret: bool = False, shown: bool = False) -> Any:
    """Declare a setting with its default (None: required in production) and its help.

    `shown`: a text value may appear on the desk's settings page. Of other text values that page says only
    whether they are set, so a new setting is hidden by default.
    """
    return field(default=default, metadata={"help": doc, "shown": shown}, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one instance, validated. Secrets are left out of its repr."""

    mode: Mode = setting(Mode.PRODUCTION, "production, or development (plain http, caught mail, /dev/mail).")
    host: str = setting("127.0.0.1", "Address the web server listens on.", shown=True)
    port: int = setting(8000, "Port the web server listens on.")
    base_url: str = setting(
        None, "Public address of this service, like https://intake.example.org.", shown=True
    )
    data_dir: Path = setting(
        None, "Folder for the database, caught mail, locks and logs; default var/.", shown=True
    )
    config_dir: Path = setting(
        CONFIG, "Folder with clinic.toml, calling_hours.toml and consent/.", shown=True
    )
    database_url: str = setting(
        None, "SQLAlchemy address; default a SQLite file in the data folder.", secret=True
    )
    log_level: str = setting("INFO", "DEBUG, INFO, WARNING or ERROR.", shown=True)
    web_threads: int = setting(8, "Threads of one web process.")
    web_processes: int = setting(1, "Web processes over one bound socket.")
    trusted_proxies: int = setting(0, "How many proxies in front may set X-Forwarded-For and -Proto.")
    time_shift: int = setting(0, "Minutes the clock runs ahead, to try other hours; development only.")
    smtp_host: str = setting(
        "", "Mail server; empty only in development, where mail is caught in mail/.", shown=True
    )
    smtp_port: int = setting(587, "Port of the mail server.")
    smtp_tls: Tls = setting(Tls.STARTTLS, "starttls, implicit, or none (only to this machine itself).")
    smtp_ca_file: str = setting(
        "", "Extra certificate authority for the mail server, as a PEM file.", shown=True
    )
    smtp_username: str = setting("", "Account at the mail server; empty: none.")
    smtp_password: str = setting("", "Password at the mail server.", secret=True)
    smtp_timeout: int = setting(20, "Seconds to wait for the mail server at each step.")
    mail_from: str = setting("", "Sender of notices, like intake@example.org.", shown=True)
    alarm_smtp_host: str = setting(
        "", "A second mail server, for telling that something is wrong.", shown=True
    )
    alarm_smtp_port: int = setting(587, "Port of the second mail server.")
    alarm_smtp_tls: Tls = setting(Tls.STARTTLS, "starttls, implicit, or none (only to this machine itself).")
    alarm_smtp_ca_file: str = setting("", "Extra certificate authority for it, as a PEM file.", shown=True)
    alarm_smtp_username: str = setting("", "Account at the second mail server; empty: none.")
    alarm_smtp_password: str = setting("", "Password at the second mail server.", secret=True)
    anchor_file: str = setting(
        "", "File for the audit log's anchors, best on another disk; default anchors.log.", shown=True
    )
    anchor_mail_to: str = setting("", "Address that gets the audit log's anchor every week; empty: none.")
    outbound: Outbound = setting(Outbound.NO, "yes: doctor may ask whether the articles still answer.")
    metrics_token: str = setting("", "Bearer token for /metrics; empty closes it.", secret=True)
    backup_dir: str = setting(
        "", "Folder for daily backups, best on other storage; empty: no daily backup.", shown=True
    )
    backup_keep: int = setting(14, "How many backups are kept in a folder; older ones are deleted.")
    backup_key: str = setting("", "Key that encrypts backups; from `intake keys new`.", secret=True)
    sealing_keys: str = setting(
        None, "id:key, newest first, comma between; seals leads; rotates.", secret=True
    )
    index_key: str = setting(
        None, "Key for look-ups, proof and do-not-contact codes; never rotates.", secret=True
    )
    chain_key: str = setting(None, "Key that authenticates the audit log and consent events.", secret=True)
    app_keys: str = setting(None, "Keys for form tokens, sessions and receipts, newest first.", secret=True)

    @classmethod
    def may_be_shown(cls, name: str) -> bool:
        """Whether a page may show a setting's value: a number, an enum, or a text declared as `shown`."""
        declared = next(each for each in fields(cls) if each.name == name)
        closed = isinstance(declared.type, type) and issubclass(declared.type, int | StrEnum)
        return declared.repr and (closed or bool(declared.metadata["shown"]))

    @property
    def development(self) -> bool:
        """True in development mode."""
        return self.mode is Mode.DEVELOPMENT

    @property
    def secure(self) -> bool:
        """True when the public address is https, so that cookies are Secure with the __Host- prefix."""
        return self.base_url.startswith("https://")

    @property
    def anchor_path(self) -> Path:
        """The file of the audit chain's anchors; in the data folder unless configured."""
        return Path(self.anchor_file) if self.anchor_file else self.data_dir / "anchors.log"

    @property
    def sqlite(self) -> bool:
        """True when the database is a SQLite file."""
        return self.database_url.startswith("sqlite")


def load() -> Settings:
    """Load and validate the settings of this process. Raises SettingsError with every problem."""
    problems = _unknown_names()
    values = _read(problems)
    _fill_defaults(values, problems)
    optional = {BACKUP_KEY: values[BACKUP_KEY]} if values[BACKUP_KEY] else {}
    problems += check_secrets({name: values[name] for name in SECRETS} | optional)
    problems += [f"{PREFIX}{name}: {why}" for name, why in validators.problems_in(values)]
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    return Settings(**values)


def _unknown_names() -> list[str]:
    """Problems of unknown `INTAKE_` variables: a misspelt name would silently leave the default in use."""
    known = {f"{PREFIX}{each.name.upper()}" for each in fields(Settings)}
    known |= {f"{name}_FILE" for name in known}
    given = {name for name in os.environ if name.startswith(PREFIX) and not name.startswith(FOR_TESTS)}
    problems = []
    for name in sorted(given - known):
        similar = get_close_matches(name, sorted(known), n=1, cutoff=0.8)
        suggestion = f" Did you mean {similar[0]}?" if similar else ""
        problems.append(f"{name}: is not a setting.{suggestion}")
    return problems


def _read(problems: list[str]) -> dict[str, Any]:
    env = FileAwareEnv(prefix=PREFIX, strip_whitespace=True)
    declared_fields = {each.name: each for each in fields(Settings)}
    folder = _setting_value(env, declared_fields.pop("config_dir"), {}, problems).expanduser().absolute()
    from_file = _toml(folder, problems)
    values = {name: _setting_value(env, each, from_file, problems) for name, each in declared_fields.items()}
    return values | {"config_dir": folder}


def _toml(folder: Path, problems: list[str]) -> Mapping[str, object]:
    path = folder / "intake.toml"
    if not path.exists():
        return {}
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as wrong:
        problems.append(f"intake.toml: cannot be read ({type(wrong).__name__}).")
        return {}
    declared = {each.name for each in fields(Settings)}
    allowed = {each.name for each in fields(Settings) if each.repr and each.name != "config_dir"}
    for key in sorted(set(written) - allowed):
        what_to_do = f"may not stand in a file that is copied around; set {PREFIX}{key.upper()}."
        problems.append(f"intake.toml: {key}: {what_to_do if key in declared else 'is not a setting.'}")
    return {key: value for key, value in written.items() if key in allowed}


def _setting_value(
    env: FileAwareEnv, declared: "Field[Any]", from_file: Mapping[str, object], problems: list[str]
) -> Any:
    name = declared.name.upper()
    try:
        given = env.str(name, None)
    except (EnvError, ValueError, OSError):
        problems.append(f"{PREFIX}{name}_FILE: must name a readable file.")
        return declared.default
    value = given or from_file.get(declared.name, declared.default)
    try:
        return _convert(declared.type, value)
    except (ValueError, TypeError):
        wanted = "must be text."
        if declared.type is int:
            wanted = "must be a whole number."
        elif isinstance(declared.type, type) and issubclass(declared.type, StrEnum):
            wanted = f"must be one of {', '.join(declared.type)}."
        source = PREFIX + name if given else f"intake.toml: {declared.name}"
        problems.append(f"{source}: {wanted}")
        return declared.default


def _convert(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if kind is int:
        if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,6}", str(value)):
            raise ValueError
        return int(value)
    if not isinstance(value, str | Path):
        raise TypeError
    return kind(value)


def _fill_defaults(values: dict[str, Any], problems: list[str]) -> None:
    """Fill in defaults that depend on other settings; missing development keys are made once and stored."""
    folder = values["data_dir"] = (values["data_dir"] or default_data_dir()).expanduser().absolute()
    if values["database_url"]:
        url = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", values["database_url"])
    else:  # a rule refuses a path that is not UTF-8
        path = os.fsencode(folder / "intake.sqlite3").decode(errors="replace")
        url = URL.create("sqlite", database=path).render_as_string(hide_password=False)
    values["database_url"] = url
    if values["mode"] is Mode.DEVELOPMENT:
        host = "localhost" if values["host"] in ALL_INTERFACES else values["host"]
        name = f"[{host}]" if ":" in host else host
        values["base_url"] = values["base_url"] or f"http://{name}:{values['port']}"
        values["mail_from"] = values["mail_from"] or "intake@example.org"
        try:
            for secret in SECRETS:
                values[secret] = values[secret] or development_secret(folder / "keys", secret)
        except OSError:
            problems.append(
                f"{PREFIX}DATA_DIR: must be a folder that can be written, for the development keys."
            )
    values["base_url"] = (values["base_url"] or "").rstrip("/")
