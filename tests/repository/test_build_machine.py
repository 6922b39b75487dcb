"""R1: `.ci/run` brings what only the system can give, goes a newcomer's way, and leaves nothing out."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYSTEM = tuple("bash sh make dirname env id ln cp git mktemp rm mkdir sleep cat".split())
MAKEFILE = """
run:
	@echo $$$$ >{here}/serving; exec python3 -m http.server --bind 127.0.0.1 $$INTAKE_PORT
test:
	@echo all required: $$INTAKE_TEST_REQUIRE_ALL in $$CI; env >{here}/surroundings
"""
TESTED = "all required: 1 in true\n"
INSTALLING = """#!/bin/sh
echo "$DEBIAN_FRONTEND $*" >&2
case "$*" in install*chromium) ln -s {here}/sh {here}/chromium;; esac
"""
MAKING_VENVS = f"""#!/bin/sh
case "$*" in
  "-m venv "*) mkdir -p "$3/bin"; cp {{here}}/venv-python "$3/bin/python";;
  *) exec {sys.executable} "$@";;
esac
"""
PIP = """#!/bin/sh
echo "$*" >>{here}/asked
"""
OLD_PIP = """#!/bin/sh
case "$0 $*" in *==23.0.1/bin/python*test.lock) echo not pinned >&2; exit 1;; esac
"""


class Machine:
    """A machine with a shell, make, git and the programs a test gives it; its pip reaches no index."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.programs = folder / "checkout", folder / "programs"
        (self.checkout / ".ci").mkdir(parents=True)
        self.programs.mkdir()
        shutil.copy(ROOT / ".ci/run", self.checkout / ".ci/run")
        for name in SYSTEM:
            (self.programs / name).symlink_to(str(shutil.which(name)))
        self.add("python3", MAKING_VENVS)
        self.add("venv-python", PIP)
        subprocess.run(["git", "init", "-q", self.checkout], check=True)
        self.keep(MAKEFILE.format(here=self.programs))

    def add(self, name: str, words: str = "#!/bin/sh\n") -> None:
        (self.programs / name).write_text(words.format(here=self.programs))
        (self.programs / name).chmod(0o755)

    def keep(self, makefile: str) -> None:
        """Commit this Makefile."""
        (self.checkout / "Makefile").write_text(makefile)
        git = ["git", "-C", self.checkout, "-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-qm", "Keep this"], check=True)

    def run(self, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.checkout / ".ci/run"],
            env={"PATH": str(self.programs), "HOME": str(self.programs), "CI": "true", **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def surroundings(self) -> dict[str, str]:
        """What the tests of the clone found in their environment."""
        lines = (self.programs / "surroundings").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


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
    assert [line.split()[:2] for line in first.stderr.splitlines() if line.startswith("non")] == [
        ["noninteractive", "update"],
        ["noninteractive", "install"],
    ]
    assert "noninteractive" not in second.stderr


def test_it_fails_where_no_browser_can_be_had(machine: Machine) -> None:
    machine.add("apt-get", "#!/bin/sh\nexit 100\n")
    machine.add("sudo", '#!/bin/sh\nexec "$@"\n')
    told = machine.run()
    assert told.returncode == 100
    assert told.stdout == ""


def test_a_failing_test_fails_it(machine: Machine) -> None:
    machine.add("chromium")
    machine.keep(MAKEFILE.partition("test:")[0] + "test:\n\t@exit 1\n")
    assert machine.run().returncode != 0


def test_a_service_that_does_not_start_fails_it_and_says_why(machine: Machine) -> None:
    machine.add("chromium")
    machine.keep("run:\n\t@echo no room; exit 1\ntest:\n\t@echo never\n")
    told = machine.run()
    assert (told.returncode, told.stdout) == (1, "")
    assert "no room" in told.stderr
    assert "make run did not serve the page" in told.stderr


def test_a_lock_that_one_pip_refuses_fails_it(machine: Machine) -> None:
    machine.add("chromium")
    machine.add("venv-python", OLD_PIP)
    told = machine.run()
    if sys.version_info < (3, 12):
        assert (told.returncode, told.stdout) == (1, "")
        assert "pip==23.0.1 does not install requirements/test.lock" in told.stderr
    else:
        assert "pip 23.0.1 is not tried" in told.stderr


def test_both_locks_are_tried_with_each_pip(machine: Machine) -> None:
    machine.add("chromium")
    machine.run()
    asked = (machine.programs / "asked").read_text().splitlines()
    tried = [line.split()[-1] for line in asked if "--dry-run --require-hashes" in line]
    pips = sorted(line.split()[-1] for line in asked if "--upgrade" in line)
    expected = ["pip", "pip==23.0.1", "pip==23.2.1"]
    assert pips == (expected if sys.version_info < (3, 12) else ["pip", "pip==23.2.1"])
    assert sorted(tried) == sorted(len(pips) * ["requirements/run.lock", "requirements/test.lock"])


def test_the_clone_is_started_and_tested_as_from_a_plain_terminal(machine: Machine) -> None:
    machine.add("chromium")
    machine.add("uv", "#!/bin/sh\nexit 1\n")
    way = {"PIP_INDEX_URL": "https://pypi.example.org/simple", "https_proxy": "", "SSL_CERT_FILE": "/a b/c"}
    machine.run(**way, INTAKE_MODE="production", PYTHONPATH="/nowhere", VIRTUAL_ENV="/nowhere")
    found = machine.surroundings()
    assert way.items() <= found.items()
    assert not {"INTAKE_MODE", "PYTHONPATH", "VIRTUAL_ENV"} & set(found)
    assert shutil.which("uv", path=found["PATH"]) is None
    assert found["PATH"] != str(machine.programs)


def test_nothing_is_left_behind(machine: Machine, tmp_path: Path) -> None:
    machine.add("chromium")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert machine.run(TMPDIR=str(scratch)).returncode == 0
    assert list(scratch.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((machine.programs / "serving").read_text()), 0)


def test_the_last_line_is_that_of_the_tests() -> None:
    assert (ROOT / ".ci/run").read_text().endswith(" make test\n")
    assert os.access(ROOT / ".ci/run", os.X_OK)
