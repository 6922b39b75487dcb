"""Validation of single settings and of settings that depend on each other.

Every rule yields the name of a setting and what to do, never the value.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
RANGES = {
    "port": (1, 65535),
    "web_threads": (1, 256),
    "web_processes": (1, 64),
    "trusted_proxies": (0, 10),
    "smtp_port": (1, 65535),
    "alarm_smtp_port": (1, 65535),
    "smtp_timeout": (1, 120),
    "backup_keep": (1, 1000),
}
PATHS = ("data_dir", "config_dir", "anchor_file", "backup_dir", "smtp_ca_file", "alarm_smtp_ca_file")
MIN_TOKEN = 16
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and surrogates, which no log, page or terminal can show as they are."""
_BARE_ADDRESS = r"[^@\s<>(),;:\"\\]+@[A-Za-z0-9.-]+"
Problems = Iterator[tuple[str, str]]


def problems_in(values: Mapping[str, Any]) -> Problems:
    """The problems of `values` as pairs (name without prefix, what to do)."""
    for rule in _RULES:
        yield from rule(values)


DATABASE_LOCK = "database.lock"
"""The writer lock's file. With it a read-only data folder has been in use, and there are pages to serve."""


def _ranges(values: Mapping[str, Any]) -> Problems:
    for name, (least, most) in RANGES.items():
        if not least <= values[name] <= most:
            yield name.upper(), f"must be from {least} to {most}."


def _listening(values: Mapping[str, Any]) -> Problems:
    if not re.fullmatch(r"[A-Za-z0-9.:-]+", values["host"]):
        yield "HOST", "must be one address or host name to listen on."
    if values["time_shift"] and values["mode"] != "development":
        yield "TIME_SHIFT", "must be 0 in production: promises and calls follow the real clock."
    if values["log_level"] not in LOG_LEVELS:
        yield "LOG_LEVEL", f"must be one of {', '.join(LOG_LEVELS)}."
    if 0 < len(values["metrics_token"]) < MIN_TOKEN:
        yield "METRICS_TOKEN", f"must have {MIN_TOKEN} characters or more."


def _paths(values: Mapping[str, Any]) -> Problems:
    for name in PATHS:
        if _UNWRITABLE.search(str(values[name])):
            yield name.upper(), "must be a path in UTF-8, without line breaks or other control characters."


def _folders(values: Mapping[str, Any]) -> Problems:
    if not os.access(values["config_dir"] / ".", os.F_OK):
        yield "CONFIG_DIR", "must be a folder that holds clinic.toml, calling_hours.toml and consent/."
    folder = values["data_dir"]
    existing = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    if not writable and not os.access(folder / DATABASE_LOCK, os.F_OK):
        yield "DATA_DIR", "must be a folder that this account can write to or make."


def _anchors(values: Mapping[str, Any]) -> Problems:
    path = Path(values["anchor_file"])
    if values["anchor_file"] and not (path.is_absolute() and path.parent.is_dir() and not path.is_dir()):
        yield "ANCHOR_FILE", "must be the whole path of a file, in a folder that is there."
    if values["anchor_mail_to"] and not re.fullmatch(_BARE_ADDRESS, values["anchor_mail_to"]):
        yield "ANCHOR_MAIL_TO", "must be one bare address, like officer@example.org."


def _public_address(values: Mapping[str, Any]) -> Problems:
    base_url = values["base_url"]
    if not base_url:
        yield "BASE_URL", "is missing: the public address, like https://intake.example.org."
        return
    address = _origin_parts(base_url)
    if not address:
        yield "BASE_URL", "must be http(s)://name[:port] and nothing more."
    elif _in_production(values) and address.scheme == "http" and address.hostname not in LOOPBACK:
        yield "BASE_URL", "must be https in production, except on this machine itself."


def _origin_parts(url: str) -> SplitResult | None:
    """The parts of a URL that has a scheme, a host and an optional port only, else None."""
    if not re.fullmatch(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?", url):
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and (parts.port is None or parts.port > 0) else None
    except ValueError:
        return None


def _mail(values: Mapping[str, Any]) -> Problems:
    if _in_production(values) and not values["smtp_host"]:
        yield "SMTP_HOST", "is missing: without it no notice reaches the staff."
    if not re.fullmatch(_BARE_ADDRESS, values["mail_from"]):
        yield "MAIL_FROM", "is missing, or is not a bare address like intake@example.org."
    for server in ("smtp", "alarm_smtp"):
        host, name = values[f"{server}_host"], server.upper()
        if values[f"{server}_tls"] == "none" and host and host not in LOOPBACK:
            yield f"{name}_TLS", "may be none only when the mail server is this machine."
        if values[f"{server}_ca_file"] and not os.access(values[f"{server}_ca_file"], os.R_OK):
            yield f"{name}_CA_FILE", "must name a readable file."
        account, password = bool(values[f"{server}_username"]), bool(values[f"{server}_password"])
        if account and not password:
            yield f"{name}_PASSWORD", f"is missing for the account that {name}_USERNAME names."
        if password and not account:
            yield f"{name}_USERNAME", f"is missing for the password that {name}_PASSWORD holds."


def _database(values: Mapping[str, Any]) -> Problems:
    try:
        url = make_url(values["database_url"])
    except (ArgumentError, ValueError):
        url = None
    if not url or url.drivername not in ("sqlite", "postgresql+psycopg") or not url.database:
        yield "DATABASE_URL", "must be sqlite:////whole/path/file or postgresql://host/database."
    elif url.drivername == "sqlite" and not url.database.startswith("/"):
        yield "DATABASE_URL", "must name the SQLite file by its whole path, so that every command finds it."
    elif url.drivername == "sqlite" and "?" in values["database_url"]:
        yield (
            "DATABASE_URL",
            "must name the SQLite file and nothing else; a ? in its path is written %3F, a % %25.",
        )
    elif url.drivername != "sqlite" and _in_production(values) and _is_unverified_remote(url):
        yield "DATABASE_URL", "must ask for sslmode=verify-full when PostgreSQL is elsewhere."


def _backups(values: Mapping[str, Any]) -> Problems:
    """Rules for backups. A missing folder fails a health check: an absent disk must not prevent a start."""
    folder = values["backup_dir"]
    if folder and not Path(folder).is_absolute():
        yield "BACKUP_DIR", "must be the whole path of a folder."
    if folder and not values["backup_key"]:
        yield "BACKUP_KEY", "is missing for the backups that BACKUP_DIR asks for."


def _is_unverified_remote(url: URL) -> bool:
    """True for PostgreSQL on another host without certificate verification (cf. 45 CFR 164.312(e))."""
    hosts = url.normalized_query.get("host", ()) or (url.host or "",)
    local = all(host in ("", *LOOPBACK) or host.startswith("/") for host in hosts)
    return not local and url.normalized_query.get("sslmode") != ("verify-full",)


def _in_production(values: Mapping[str, Any]) -> bool:
    return bool(values["mode"] != "development")


_RULES: tuple[Callable[[Mapping[str, Any]], Problems], ...] = (
    _public_address, _listening, _ranges, _paths, _folders, _mail, _database, _backups, _anchors
)  # fmt: skip
