"""R1: `.ci/run` brings what only the system can give, and then leaves nothing out."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SYSTEM = ("bash", "sh", "make", "dirname", "env", "id", "ln")
MAKEFILE = "test:\n\t@echo all required: $$INTAKE_TEST_REQUIRE_ALL\n"
TESTED = "all required: 1\n"
INSTALLING = """#!/bin/sh
echo "$DEBIAN_FRONTEND $*" >&2
case "$*" in install*chromium) ln -s {here}/sh {here}/chromium;; esac
"""


class Machine:
    """A machine with a shell, make, and the programs a test gives it."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.programs = folder / "checkout", folder / "programs"
        (self.checkout / ".ci").mkdir(parents=True)
        self.programs.mkdir()
        shutil.copy(ROOT / ".ci/run", self.checkout / ".ci/run")
        (self.checkout / "Makefile").write_text(MAKEFILE)
        for name in SYSTEM:
            (self.programs / name).symlink_to(str(shutil.which(name)))

    def add(self, name: str, words: str = "#!/bin/sh\n") -> None:
        (self.programs / name).write_text(words.format(here=self.programs))
        (self.programs / name).chmod(0o755)

    def run(self, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.checkout / ".ci/run"],
            env={"PATH": str(self.programs), "CI": "true", **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("chromium", ["chromium", "chromium-browser", "google-chrome"])
def test_it_installs_nothing_where_a_browser_is(machine: Machine, chromium: str) -> None:
    machine.add(chromium)
    assert machine.run().stdout == TESTED


def test_a_browser_may_be_named(machine: Machine) -> None:
    assert machine.run(CHROMIUM="/somewhere/chrome").stdout == TESTED


def test_it_installs_a_browser_unasked(machine: Machine) -> None:
    machine.add("apt-get", INSTALLING)
    machine.add("sudo", '#!/bin/sh\nexec "$@"\n')
    first, second = machine.run(), machine.run()
    assert first.stdout == second.stdout == TESTED
    assert [line.split()[:2] for line in first.stderr.splitlines()] == [
        ["noninteractive", "update"],
        ["noninteractive", "install"],
    ]
    assert second.stderr == ""


def test_it_fails_where_no_browser_can_be_had(machine: Machine) -> None:
    machine.add("apt-get", "#!/bin/sh\nexit 100\n")
    machine.add("sudo", '#!/bin/sh\nexec "$@"\n')
    told = machine.run()
    assert told.returncode == 100
    assert told.stdout == ""


def test_a_failing_test_fails_it(machine: Machine) -> None:
    machine.add("chromium")
    (machine.checkout / "Makefile").write_text("test:\n\t@exit 1\n")
    assert machine.run().returncode != 0


def test_the_last_line_is_that_of_the_tests() -> None:
    assert (ROOT / ".ci/run").read_text().endswith("\nmake test\n")
    assert os.access(ROOT / ".ci/run", os.X_OK)
