"""The secret keys: parse, check and generate them.

The keys are independent, so that a compromised one discloses one kind of data only. Each has 32 random
bytes in base64. `sealing_keys` is a list of `id:key`, `app_keys` a list; the newest is first.
"""

import base64
import binascii
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

SECRETS = ("sealing_keys", "index_key", "chain_key", "app_keys")
BACKUP_KEY = "backup_key"
"""Encrypts backups; with it alone a backup can be read, but no sealed value in it."""
LENGTH = 32
_MIN_DISTINCT_BYTES = 10
"""A key of 32 random bytes has practically always more distinct bytes; a placeholder has fewer."""


def parse_key(written: str) -> bytes:
    """Decode one base64 key to its 32 bytes. Raises ValueError with a reason that does not quote the key."""
    try:
        key = base64.b64decode(written.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64.") from None
    if len(key) != LENGTH:
        raise ValueError(f"must be {LENGTH} bytes in base64; make one with `intake keys new`.")
    if len(set(key)) < _MIN_DISTINCT_BYTES:
        raise ValueError("looks like a placeholder; make one with `intake keys new`.")
    return key


def parse_sealing_keys(written: str) -> dict[str, bytes]:
    """Key ids to keys as configured: the first one seals, all of them open. Raises ValueError."""
    keys: dict[str, bytes] = {}
    for part in written.split(","):
        key_id, colon, key = part.strip().partition(":")
        if not colon or not re.fullmatch(r"[a-z0-9-]{1,16}", key_id):
            raise ValueError("must be written id:key, with an id of small letters, figures and hyphens.")
        if key_id in keys:
            raise ValueError("names one id twice.")
        keys[key_id] = parse_key(key)
    return keys


def parse_app_keys(written: str) -> list[bytes]:
    """The keys as configured, newest first. Raises ValueError."""
    return [parse_key(part) for part in written.split(",")]


def check_secrets(written: Mapping[str, str | None]) -> list[str]:
    """The problems of the given secrets, with the name of the setting; empty when they are valid."""
    problems: list[str] = []
    seen: dict[bytes, str] = {}
    for name, value in written.items():
        setting = f"INTAKE_{name.upper()}"
        if not value:
            problems.append(f"{setting}: is missing. Set it, or {setting}_FILE with the path of a file.")
            continue
        try:
            if name == "sealing_keys":
                keys = list(parse_sealing_keys(value).values())
            else:
                keys = parse_app_keys(value) if name == "app_keys" else [parse_key(value)]
        except ValueError as wrong:
            problems.append(f"{setting}: {wrong}")
            continue
        for key in keys:
            if key in seen:
                problems.append(f"{setting}: repeats a key that {seen[key]} holds.")
            seen.setdefault(key, setting)
    return problems


def new_secret(name: str, *, key_id: str = "k1") -> str:
    """A new random value for one of SECRETS, as it is configured."""
    key = base64.urlsafe_b64encode(secrets.token_bytes(LENGTH)).decode()
    return f"{key_id}:{key}" if name == "sealing_keys" else key


def development_secret(folder: Path, name: str) -> str:
    """The development key stored in `folder`, created on first use; readable by its owner only.

    Safe for concurrent processes: the complete file is linked into place, and the first one wins.
    """
    path = folder / name
    if not path.exists():
        for missing in (folder.parent, folder):  # mkdir gives its mode to the last folder alone
            missing.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(new_secret(name))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first; its key is used
        finally:
            draft.unlink()
    return path.read_text().strip()
