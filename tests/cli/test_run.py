"""`intake run`: the whole service as a newcomer meets it, and that nothing of it stays behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from intake.conf.secrets import SECRETS
from tests.cli.conftest import Service, can_bind, config_of_today, processes_of, until

LAST_WORDS = "press Ctrl-C"
LAUNCHER = ("import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)",)


def up(service: Service, *arguments: str) -> Service:
    """Start it and wait until it has said everything."""
    service.start("run", *arguments)
    service.wait_for(LAST_WORDS)
    return service


def part(service: Service, name: str) -> list[int]:
    """The processes that run this command."""
    return [pid for pid, line in processes_of(service.folder).items() if f"-m intake {name} " in line]


def account(service: Service) -> dict[str, str]:
    """What the file of the first account says."""
    lines = (service.folder / "first-account.txt").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def test_a_newcomer_reads_where_to_look_and_how_to_sign_in(service: Service) -> None:
    up(service)
    address, kept = f"http://127.0.0.1:{service.port}", account(service)
    assert service.get("/healthz") == (200, "ok")
    for words in (f"{address}/\n", f"{address}/desk\n", f"{address}/dev/mail\n", str(service.folder)):
        assert words in service.words
    assert f"Sign in as   {kept['email']}\n" in service.words
    assert f"Password     {kept['password']}\n" in service.words
    assert re.search(r"Code now     \d{6} ", service.words)
    assert re.fullmatch(r"\d{6}\n", service.run("staff", "code").stdout)


def test_it_needs_nothing_prepared_and_keeps_all_in_its_folder(service: Service, tmp_path: Path) -> None:
    service.environment["INTAKE_CONFIG_DIR"] = str(config_of_today(tmp_path))
    up(service)
    there = {path.name for path in service.folder.iterdir()}
    assert {"intake.sqlite3", "keys", "logs", "pages", "first-account.txt"} <= there
    assert service.folder.stat().st_mode & 0o077 == 0
    assert service.get("/")[0] == 200
    assert service.get("/es/")[0] == 200
    until(lambda: service.run("doctor").returncode == 0, "the doctor found nothing red")


def test_a_signal_ends_everything_in_order(service: Service) -> None:
    """One of them; that each is taken for the same is tried in tests/server/test_supervisor.py."""
    up(service)
    service.started[0].send_signal(signal.SIGTERM)
    assert service.started[0].wait(90) == 0
    service.wait_until_gone()
    assert service.words.endswith("Stopped.\n")


def test_ctrl_c_in_a_terminal_reaches_the_whole_group_and_ends_in_order(service: Service) -> None:
    up(service)
    os.killpg(service.started[0].pid, signal.SIGINT)
    assert service.started[0].wait(90) == 0
    service.wait_until_gone()


def test_nothing_outlives_a_killed_run(service: Service) -> None:
    up(service)
    assert part(service, "serve")
    assert part(service, "relay")
    service.started[0].kill()
    service.wait_until_gone()


def test_nothing_outlives_what_started_it(service: Service) -> None:
    process = service.start("run", "--stop-with-parent", through=(sys.executable, "-c", *LAUNCHER))
    service.wait_for(LAST_WORDS)
    process.kill()
    service.wait_until_gone()


def test_nothing_outlives_the_terminal(service: Service) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "intake", "run"],
        env=service.environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    service.started.append(process)
    os.close(theirs)
    service.wait_until_up()
    os.close(ours)  # nobody is the leader of that terminal, so no signal comes
    process.wait(90)  # with whatever code: its last words find no terminal either
    service.wait_until_gone()


def test_it_outlives_the_terminal_with_nohup(service: Service) -> None:
    service.start("run", through=("nohup",))
    service.wait_for(LAST_WORDS)
    service.started[0].send_signal(signal.SIGHUP)
    service.wait_until_up()
    service.started[0].terminate()
    assert service.started[0].wait(90) == 0


def test_it_can_be_stopped_before_it_is_up(service: Service) -> None:
    process = service.start("run")
    until(lambda: part(service, "serve") or process.poll() is not None, "it was on its way")
    process.terminate()
    assert process.wait(90) == 0
    service.wait_until_gone()


@pytest.mark.parametrize(
    ("name", "message"), [("serve", "The web process ended"), ("relay", "The relay process ended")]
)
def test_a_part_that_dies_is_started_again(service: Service, name: str, message: str) -> None:
    up(service)
    (before,) = part(service, name)
    os.kill(before, signal.SIGKILL)
    service.wait_for(message)
    until(lambda: part(service, name) not in ([], [before]), "it was started again")
    service.wait_until_up()


def test_a_second_start_keeps_what_was_there(service: Service) -> None:
    up(service)
    kept = account(service)
    assert service.run("demo", "--leads", "2").returncode == 0
    service.started[0].terminate()
    assert service.started[0].wait(90) == 0
    service.output_file.write_text("")
    service.start("run")
    until(lambda: LAST_WORDS in service.words, "it was up again")
    assert account(service) == kept
    assert kept["password"] in service.words
    assert service.run("staff", "list").stdout.count("@example.org") == 1
    assert service.run("audit", "show", "-n", "500").stdout.count("lead.submitted") == 2


def test_a_port_in_use_is_refused_before_anything_is_made(service: Service) -> None:
    with socket.create_server(("127.0.0.1", service.port)):
        result = service.run("run")
    assert result.returncode == 1
    assert result.stderr == f"intake: Port {service.port} is in use; set INTAKE_PORT.\n"
    assert not (service.folder / "intake.sqlite3").exists()


def test_two_instances_run_beside_each_other(make_service) -> None:
    one, other = up(make_service("one")), up(make_service("other"))
    assert one.get("/healthz") == other.get("/healthz") == (200, "ok")
    assert account(one)["password"] != account(other)["password"]


# --- production ---------------------------------------------------------------------------------------


def test_production_without_secrets_names_each_and_makes_nothing(make_service) -> None:
    service = make_service(INTAKE_MODE="production", INTAKE_SMTP_HOST="canary.example.org")
    result = service.run("run")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    for name in (*(secret.upper() for secret in SECRETS), "BASE_URL", "MAIL_FROM"):
        assert f"INTAKE_{name}: is missing" in result.stderr
    assert "canary" not in result.stderr
    assert not service.folder.exists()
    assert can_bind(service.port)


def test_production_adds_no_account_and_shows_no_password(make_service, tmp_path: Path) -> None:
    secrets = make_service("elsewhere").run("keys", "new").stdout.splitlines()
    service = make_service(
        INTAKE_MODE="production",
        INTAKE_SMTP_HOST="127.0.0.1",
        INTAKE_SMTP_TLS="none",
        INTAKE_MAIL_FROM="intake@example.org",
        INTAKE_BASE_URL="http://localhost:8000",
        **dict(line.split("=", 1) for line in secrets),
    )
    up(service)
    assert "Password" not in service.words
    assert "/dev/mail" not in service.words
    assert "intake staff add" in service.words
    assert not (service.folder / "first-account.txt").exists()
    assert not (service.folder / "keys").exists()
