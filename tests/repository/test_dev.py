"""R1: the way from a bare checkout to a running service, tried on a small one that asks for no package."""

import os
import shutil
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
TELLING = """
import os, sys

def main():
    print(os.getpid(), os.environ.get("INTAKE_MODE"), *sys.argv[1:])

if __name__ == "__main__":
    main()
"""
TESTING = """
import os, sys
print(os.environ.get("INTAKE_TEST_REQUIRE_ALL"), *sys.argv[1:])
"""
PYTHON = sys._base_executable
"""The one the venv was made with: what a newcomer has, with pip."""
FOREIGN = ("CI", "INTAKE_", "MAKE", "MFLAGS", "PYTEST_")
"""What the run we are in may have set, and a fresh terminal has not."""
SETTING_UP = "Setting up"

pytestmark = pytest.mark.xdist_group("dev")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the real script, locks of nothing, and a service that says how it was started."""
    folder = tmp_path_factory.mktemp("bare") / "checkout"
    for name in ("dev", "Makefile"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name, words in (
        ("intake/__init__.py", ""),
        ("intake/__main__.py", TELLING),
        ("pytest.py", TESTING),
        ("requirements/run.lock", "# nothing\n"),
        ("requirements/test.lock", "# nothing at all\n"),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(words)
    return folder


@pytest.fixture(scope="module")
def ready(bare: Path) -> Path:
    """The same, set up."""
    assert SETTING_UP in start(bare, "intake").stderr
    return bare


def start(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Give one command to the script in `folder`."""
    return finish(begin(folder, [PYTHON, folder / "dev", *words], **settings))


def begin(folder: Path, command: list[str | Path], **settings: str) -> subprocess.Popen[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=plain | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def test_it_starts_the_service_in_development_and_tells_it_to_watch_its_parent(ready: Path) -> None:
    told = start(ready, "run", "--port", "0").stdout.split()[1:]
    assert told == ["development", "run", "--stop-with-parent", "--port", "0"]


def test_another_mode_is_left_alone(ready: Path) -> None:
    assert start(ready, "intake", "doctor", INTAKE_MODE="production").stdout.split()[1:] == [
        "production",
        "doctor",
    ]


def test_no_process_stays_between_make_and_the_service(ready: Path) -> None:
    """What stops the one stops the other: make's only child is the service."""
    process = begin(ready, ["make", f"PYTHON={PYTHON}", "run"])
    assert finish(process).stdout.split()[1] == "development"
    process = begin(ready, [PYTHON, "dev", "run"])
    assert int(finish(process).stdout.split()[0]) == process.pid


def test_a_second_start_sets_nothing_up(ready: Path) -> None:
    assert start(ready, "run").stderr == ""


def test_the_command_of_the_operator_is_in_the_venv(ready: Path) -> None:
    elsewhere = ready.parent
    told = finish(begin(elsewhere, [ready / ".venv/bin/intake", "doctor"]))
    assert told.stdout.split()[1:] == ["None", "doctor"]


def test_every_test_runs_on_all_cores(ready: Path) -> None:
    assert start(ready, "test").stdout.startswith("None -n auto ")


def test_words_after_test_are_for_pytest(ready: Path) -> None:
    assert start(ready, "test", "tests/leads", "-x").stdout == "None tests/leads -x\n"


def test_a_build_machine_may_leave_nothing_out(ready: Path) -> None:
    assert start(ready, "test", "-x", CI="true").stdout == "1 -x\n"


def test_an_interrupted_set_up_is_begun_anew(ready: Path) -> None:
    half_installed = ready / ".venv" / "half-installed"
    half_installed.touch()
    for stamp in ready.glob(".venv/.stamp-run-*"):
        stamp.unlink()
    assert SETTING_UP in start(ready, "run").stderr
    assert not half_installed.exists()


def test_a_changed_lock_is_installed(ready: Path) -> None:
    (ready / "requirements/run.lock").write_text("# another nothing\n")
    assert SETTING_UP in start(ready, "run").stderr
    assert start(ready, "run").stderr == ""


def test_a_moved_checkout_is_set_up_where_it_is(ready: Path) -> None:
    there = ready.rename(ready.with_name("elsewhere"))
    try:
        told = start(there, "run")
        assert SETTING_UP in told.stderr
        assert told.returncode == 0
    finally:
        there.rename(ready)


def test_a_package_that_cannot_be_had_is_told_in_a_sentence(ready: Path) -> None:
    lock = ready / "requirements/test.lock"
    before = lock.read_text()
    lock.write_text(f"nowhere-to-be-found==1 --hash=sha256:{64 * '0'}\n")
    try:
        told = start(
            ready, "setup", PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="", UV_OFFLINE="1"
        )
    finally:
        lock.write_text(before)
    assert told.returncode == 1
    assert "The packages could not be installed" in told.stderr
    assert "Traceback" not in told.stderr


def test_it_does_not_start_for_a_caller_who_is_gone(ready: Path) -> None:
    """`make` was killed while packages were installed: nothing may be left holding the port."""
    shutil.rmtree(ready / ".venv")
    leave = f"{PYTHON} dev run 2>told & until grep -q '{SETTING_UP}' told; do sleep 0.02; done"
    told = finish(begin(ready, ["sh", "-c", leave]))  # to the end of all who hold its output
    assert told.stdout == ""
    assert "whoever started this is gone" in (ready / "told").read_text()


@pytest.mark.parametrize("words", [(), ("walk",), ("setup", "now")])
def test_a_wrong_word_is_answered_with_the_right_ones(bare: Path, words: tuple[str, ...]) -> None:
    told = start(bare, *words)
    assert told.returncode == 2
    assert "./dev run" in told.stderr


ODD = ["a%41b mi clínica?x=1#y", "a'b\"c;d&$HOME`e`", "{x}[*]\\%(here)s"]
"""Names of folders that mean something to a shell, an address or a configuration file."""


def checkout_in(folder: Path, bare: Path) -> Path:
    """A checkout like `bare`, not set up, at `folder`."""
    return Path(
        shutil.copytree(bare, folder, ignore=shutil.ignore_patterns(".venv", ".stamp*", "__pycache__"))
    )


@pytest.mark.parametrize("name", ODD)
def test_a_checkout_may_have_any_letter_in_its_path(bare: Path, tmp_path: Path, name: str) -> None:
    folder = checkout_in(tmp_path / name, bare)
    told = finish(begin(folder, ["make", f"PYTHON={PYTHON}", "run"]))
    assert (told.stdout.split()[1:], told.returncode) == (["development", "run", "--stop-with-parent"], 0)
    told = finish(begin(tmp_path, [folder / ".venv/bin/intake", "a b", "$HOME"]))
    assert told.stdout.split(maxsplit=1)[1] == "None a b $HOME\n"
    found = finish(
        begin(tmp_path, [folder / ".venv/bin/python", "-Pc", "import intake; print(intake.__file__)"])
    )
    assert found.stdout == f"{folder}/intake/__init__.py\n"


@pytest.mark.parametrize("name", ["a:b", "a\nb", "a\udce9b"])
def test_a_path_that_python_cannot_use_is_refused_in_a_sentence(
    bare: Path, tmp_path: Path, name: str
) -> None:
    told = start(checkout_in(tmp_path / name, bare), "run")
    assert told.returncode == 1
    assert told.stderr.startswith("The path of this checkout has a colon, a control character or a letter")
    assert "Traceback" not in told.stderr
    assert told.stderr.count("\n") == 2


@pytest.fixture
def fresh(bare: Path, tmp_path: Path) -> Path:
    """A checkout of its own, not set up."""
    return checkout_in(tmp_path / "checkout", bare)


def unwritable(path: Path) -> None:
    """Make opening the file `path` to write fail for every account, root as well."""
    path.unlink(missing_ok=True)
    path.mkdir()


def test_a_checkout_that_cannot_be_written_is_told_in_a_sentence(fresh: Path) -> None:
    unwritable(fresh / ".stamp-lock")
    told = start(fresh, "run")
    assert told.returncode == 1
    assert told.stderr.startswith(f"{fresh}/.stamp-lock: Is a directory.\n")
    assert "clone it to a folder that this account can write to" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_venv_that_cannot_be_replaced_is_told_in_a_sentence(fresh: Path) -> None:
    (fresh / ".venv").touch()
    told = start(fresh, "run")
    assert told.returncode == 1
    assert f"{fresh}/.venv: Not a directory.\n" in told.stderr
    assert "clone it to a folder that this account can write to" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_checkout_that_is_set_up_needs_no_writing(fresh: Path) -> None:
    assert start(fresh, "setup").returncode == 0
    unwritable(fresh / ".stamp-lock")
    told = start(fresh, "intake")
    assert (told.stdout.split()[1:], told.stderr) == (["development"], "")


def test_the_first_start_says_each_step_once_it_begins(fresh: Path) -> None:
    steps = [line.split(" (")[0] for line in start(fresh, "run").stderr.splitlines()]
    assert steps[0].startswith("Setting up .venv to run")
    assert steps[1] == "1/3 Making .venv …"
    assert steps[2].startswith("2/3 Fetching 0 packages")
    assert steps[-1].startswith("Set up in ")


def script() -> ModuleType:
    """The script as a module."""
    loader = SourceFileLoader("dev_script", str(ROOT / "dev"))
    module = ModuleType(loader.name)
    module.__file__ = loader.path
    loader.exec_module(module)
    return module


def test_the_steps_are_read_from_what_pip_says() -> None:
    how_far = script().how_far
    said = ["Ignoring colorama: markers 'sys_platform == \"win32\"' don't match your environment"]
    assert how_far(said, 3, 0) == "2/3 Fetching 2 packages …"
    said += ["Collecting click==8.3.0 (from -r run.lock (line 1))"]
    said += ["WARNING: Location 'file:///x' is ignored: it is neither a file nor a directory."]
    said += ["Downloading https://files.example.org/click-8.3.0-py3-none-any.whl (107 kB)"]
    assert how_far(said, 3, 0) == "2/3 Fetching 2 packages: 1 … click (107 kB)"
    said += ["Collecting flask==3.1.2", "Installing collected packages: click, flask"]
    assert how_far(said, 3, 1) == "3/3 Installing 2 packages: 1 …"


def test_the_steps_are_read_from_what_uv_says() -> None:
    how_far = script().how_far
    assert how_far(["Resolved 43 packages in 2ms"], 45, 0) == "2/3 Fetching 45 packages …"
    assert how_far(["Downloading ruff (10.8MiB)"], 45, 0) == "2/3 Fetching 45 packages … ruff (10.8MiB)"
    assert how_far(["Prepared 43 packages in 1.2s"], 45, 40) == "3/3 Installing 43 packages: 40 …"


def test_of_a_failure_the_end_is_shown_and_each_line_once() -> None:
    said = ["Collecting click==8.3.0", *(3 * ["WARNING: Retrying"]), "", "ERROR: No matching distribution"]
    assert script().last_words(said) == ["WARNING: Retrying", "ERROR: No matching distribution"]
