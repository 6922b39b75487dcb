"""A power cut after each answer: what the disk was never told to keep is gone, and nothing acknowledged is.

    .venv/bin/python bench/power_cut.py

Runs the real web server under strace (which must be there, and allowed), and reads from its trace what
every file held when it was last synced. That is the worst that a power cut leaves. At each answer that
gives a reference, that disk is put together, opened and checked. Exit code 1 when anything is missing.
"""

import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.cli.conftest import Service, free_port  # noqa: E402  only from the checkout
from tests.drills.asking import ask_once  # noqa: E402

COUNT = 60
DATABASE = "intake.sqlite3"
ANSWERED = b'aria-labelledby="ref"'
"""Only the page that gives a reference says this."""
TRACED = "pwrite64,write,ftruncate,fsync,fdatasync,sendto"
CALL = re.compile(
    r"^(?P<at>[0-9.]+) (?P<call>\w+)\((?P<fd>\d+)<(?P<path>[^>]*)>"
    r'(?:, "(?P<data>(?:\\x..)*)"(?:\.\.\.)?)?(?P<rest>.*)\) += (?P<result>-?\d+)'
)
"""One line of strace: `1763719872.1 pwrite64(7</path>, "\\x53\\x51", 2, 0) = 2`."""
WHOLE = "SELECT reference FROM lead JOIN lead_key ON lead_id = lead.id JOIN submission USING (lead_id)"


@dataclass
class Disk:
    """Each file as the programs see it, and as it was when it was last synced."""

    written: dict[str, bytearray] = field(default_factory=dict)
    synced: dict[str, bytes] = field(default_factory=dict)

    def write(self, path: str, data: bytes, at: int) -> None:
        file = self.written.setdefault(path, bytearray())
        file.extend(b"\0" * (at - len(file)))
        file[at : at + len(data)] = data

    def cut(self, path: str, size: int) -> None:
        self.written[path] = self.written.setdefault(path, bytearray())[:size].ljust(size, b"\0")

    def sync(self, path: str) -> None:
        if path in self.written:
            self.synced[path] = bytes(self.written[path])


def trace_server(folder: Path) -> tuple[bytes, list[str]]:
    """Send requests to a server under strace; returns the database before them, and their references."""
    template = folder / "template.sqlite3"
    subprocess.run(
        [sys.executable, "-m", "intake", "db", "upgrade"],
        check=True,
        capture_output=True,
        env={"INTAKE_MODE": "development", "INTAKE_DATA_DIR": str(folder / "made"), "PATH": "/usr/bin:/bin"},
    )
    shutil.copyfile(folder / "made" / DATABASE, template)
    service = Service(folder / "var", free_port(), template).migrate()
    before = (service.folder / DATABASE).read_bytes()
    traces = folder / "trace"
    strace = ("strace", "-ff", "-ttt", "-y", "-xx", "-s", "70000", "-e", f"trace={TRACED}", "-o", str(traces))
    service.start("serve", through=strace)
    service.wait_until_up()
    given = [ask_once(service.port, person) for person in range(COUNT)]
    service.end()
    time.sleep(1)
    return before, given


def calls(folder: Path) -> Iterator[re.Match[str]]:
    """The traced system calls of all threads, in order of time."""
    lines = [
        line for each in folder.glob("trace.*") for line in each.read_text(errors="replace").splitlines()
    ]
    for line in sorted(lines, key=lambda each: float(each.split(" ", 1)[0])):
        if found := CALL.match(line):
            yield found


def bytes_in(written: str | None) -> bytes:
    """What strace has written out in hexadecimal."""
    return bytes.fromhex((written or "").replace("\\x", ""))


def path_in(written: str) -> str:
    """Paths are written out too, in newer versions."""
    return bytes_in(written).decode(errors="replace") if written.startswith("\\x") else written


def replay(folder: Path, before: bytes) -> Iterator[tuple[bytes, dict[str, bytes]]]:
    """For each answer: its bytes, and the files as a power cut at that moment would leave them."""
    path = str(folder / "var" / DATABASE)
    disk = Disk({path: bytearray(before)}, {path: before})
    for call in calls(folder):
        file, data, result = path_in(call["path"]), bytes_in(call["data"]), int(call["result"])
        if call["call"] == "pwrite64" and result > 0:
            disk.write(file, data[:result], int(call["rest"].rpartition(",")[2]))
        elif call["call"] == "ftruncate" and result == 0:
            disk.cut(file, int(call["rest"].strip(", ")))
        elif call["call"] in ("fsync", "fdatasync") and result == 0:
            disk.sync(file)
        elif call["call"] in ("sendto", "write") and ANSWERED in data:
            yield data, dict(disk.synced)


def references_after(kept: dict[str, bytes], folder: Path) -> set[str]:
    """The references on the disk that a power cut left. Raises when it is damaged."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path, content in kept.items():
        (folder / Path(path).name).write_bytes(content)
    with sqlite3.connect(folder / DATABASE) as database:
        (sound,) = database.execute("PRAGMA integrity_check").fetchone()
        if sound != "ok":
            raise SystemExit(f"damaged: {sound}")
        return {row[0] for row in database.execute(WHOLE)}


def main() -> int:
    """Trace, cut at each answer, and count what is missing."""
    if not shutil.which("strace"):
        print("strace is not here: no power was cut.")
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before, given = trace_server(folder)
        acknowledged: list[str] = []
        cuts = lost = 0
        for answer, kept in replay(folder, before):
            acknowledged += [each for each in given if _as_shown(each) in answer]
            cuts += 1
            lost += not set(acknowledged) <= references_after(kept, folder / "after")
    print(
        "| power cuts | acknowledged | cuts after which something acknowledged was missing |\n|---|---|---|"
    )
    print(f"| {cuts} | {len(set(acknowledged))} of {len(given)} | {lost} |")
    return int(lost > 0 or len(set(acknowledged)) < COUNT)


def _as_shown(reference: str) -> bytes:
    """As it stands on the page: in two groups."""
    return f"{reference[:4]} {reference[4:]}".encode()


if __name__ == "__main__":
    sys.exit(main())
