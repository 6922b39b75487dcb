"""The commands as an operator gives them: real processes, keys from the environment alone."""

import re

from tests.backup.conftest import BACKUP_KEY
from tests.cli.conftest import Service, make_service
from tests.conftest import SECRETS

__all__ = ["make_service"]
KEYS = {f"INTAKE_{name.upper()}": value for name, value in SECRETS.items()} | {
    "INTAKE_BACKUP_KEY": BACKUP_KEY
}


def test_from_one_machine_to_another(make_service, tmp_path) -> None:
    old: Service = make_service("old", **KEYS).migrate()
    assert old.run("demo").returncode == 0
    folder = tmp_path / "kept"
    folder.mkdir()
    taken = old.run("backup", "--to", str(folder))
    assert taken.returncode == 0, taken.stderr
    path = next(folder.iterdir())
    assert str(path) in taken.stdout

    new: Service = make_service("new", **KEYS)
    restored = new.run("restore", str(path))
    assert restored.returncode == 0, restored.stderr
    assert re.search(r"[1-9]\d* requests kept, 0 erased again", restored.stdout)
    assert "held back: `intake outbox resend`" in restored.stdout
    assert new.run("audit", "verify").returncode == 0
    again = new.run("restore", str(path))
    assert (again.returncode, "not empty" in again.stderr) == (1, True)
    tried = new.run("restore", "--test", str(path))
    assert tried.returncode == 0, tried.stderr
    assert "it can be brought back" in tried.stdout


def test_without_a_file_it_says_which_one_is_missing(make_service) -> None:
    service: Service = make_service("bare", **KEYS).migrate()
    refused = service.run("restore", "--test")
    assert (refused.returncode, "FILE is missing" in refused.stderr) == (1, True)
