"""The secrets: how they are written, checked and made.

They are independent (a compromise of one surrenders one thing), 32 random bytes each, written in
base64. `sealing_keys` is a list of `id:key`, `app_keys` a list; the newest stands first.
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
"""The fifth, for backups alone: whoever has it can read a backup, but no sealed value in it."""
LENGTH = 32
_LEAST_DISTINCT = 10
"""32 random bytes practically never repeat so much; placeholders and typed-in text do."""


def parse_key(written: str) -> bytes:
    """The 32 bytes of one key in base64. Raises ValueError with a reason that holds no key."""
    try:
        key = base64.b64decode(written.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64.") from None
    if len(key) != LENGTH:
        raise ValueError(f"must be {LENGTH} bytes in base64; make one with `intake keys new`.")
    if len(set(key)) < _LEAST_DISTINCT:
        raise ValueError("looks like a placeholder; make one with `intake keys new`.")
    return key


def parse_sealing_keys(written: str) -> dict[str, bytes]:
    """Key ids to keys, in the order written: the first one seals, all of them open."""
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
    """The keys in the order written, newest first."""
    return [parse_key(part) for part in written.split(",")]


def check_secrets(written: Mapping[str, str | None]) -> list[str]:
    """What is wrong with the four secrets, by name; empty when they may be used."""
    problems: list[str] = []
    seen: dict[bytes, str] = {}
    for name, value in written.items():
        for key in _parsed(name, value, problems):
            if key in seen:
                problems.append(
                    f"INTAKE_{name.upper()}: repeats a key that INTAKE_{seen[key].upper()} holds."
                )
            seen.setdefault(key, name)
    return problems


def _parsed(name: str, value: str | None, problems: list[str]) -> list[bytes]:
    setting = f"INTAKE_{name.upper()}"
    if not value:
        problems.append(f"{setting}: is missing. Set it, or {setting}_FILE with the path of a file.")
        return []
    try:
        if name == "sealing_keys":
            return list(parse_sealing_keys(value).values())
        return parse_app_keys(value) if name == "app_keys" else [parse_key(value)]
    except ValueError as wrong:
        problems.append(f"{setting}: {wrong}")
        return []


def new_secret(name: str, *, key_id: str = "k1") -> str:
    """A fresh value for one of SECRETS, as it is written in a setting."""
    key = base64.urlsafe_b64encode(secrets.token_bytes(LENGTH)).decode()
    return f"{key_id}:{key}" if name == "sealing_keys" else key


def development_secret(folder: Path, name: str) -> str:
    """The development key kept in `folder`, made on first use; readable by its owner alone.

    Two processes may come at once: the file is linked into place whole, and the first one wins.
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
            pass  # somebody else was first: theirs is the key
        finally:
            draft.unlink()
    return path.read_text().strip()
