"""`intake serve`: refuses malformed requests, finishes those in progress, and leaves no process behind."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress

import pytest

from intake.core.errors import Refused, SettingsError
from intake.server import supervisor
from tests.cli.conftest import Service, can_bind, free_port, processes_of, until
from tests.conftest import settings_for
from tests.drills.asking import ask_once

FORM = b"consent_use=no&preferred_name=Ada"


@pytest.fixture
def serving(service: Service) -> Service:
    """A web server that is ready."""
    service.migrate().start("serve")
    service.wait_until_up()
    return service


def connected(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=60)


def post(service: Service) -> bytes:
    """The headers of a POST whose body is still to come."""
    lines = [
        "POST / HTTP/1.1",
        f"Host: 127.0.0.1:{service.port}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(FORM)}",
        "Connection: close",
        "\r\n",
    ]
    return "\r\n".join(lines).encode()


def all_of(line: socket.socket) -> bytes:
    """Everything that is received until the other side closes."""
    return b"".join(iter(lambda: line.recv(65536), b""))


def whatever_comes(line: socket.socket) -> bytes:
    """The same, also when the other side resets the connection."""
    answer = b""
    with suppress(ConnectionError):
        while more := line.recv(65536):
            answer += more
    return answer


def ended(service: Service) -> int:
    """The exit code of the process that was started."""
    return service.started[0].wait(90)


def test_it_refuses_a_database_that_is_behind(service: Service) -> None:
    result = service.run("serve")
    assert result.returncode == 1
    assert result.stderr == "intake: The database is older than this version. Run `intake db upgrade`.\n"
    assert can_bind(service.port)


def test_it_refuses_a_port_that_is_in_use(service: Service) -> None:
    with socket.create_server(("127.0.0.1", service.port)):
        result = service.run("serve")
    assert result.returncode == 1
    assert result.stderr == f"intake: Port {service.port} is in use; set INTAKE_PORT.\n"


def test_it_does_not_say_what_it_is(shared_service: Service) -> None:
    with closing(connected(shared_service)) as line:
        line.sendall(f"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1:{shared_service.port}\r\n\r\n".encode())
        head = all_of(line).decode().lower()
    assert head.startswith("http/1.0 200")
    assert "server:" not in head
    assert "waitress" not in head


def test_nobody_who_asks_is_logged(shared_service: Service) -> None:
    for path in ("/", "/es/", "/nowhere/canary", "/healthz"):
        shared_service.get(path)
    assert "canary" not in shared_service.words
    assert "GET" not in shared_service.words
    assert "127.0.0.1" not in shared_service.words


def test_a_signal_ends_it_in_order(serving: Service) -> None:
    """One of them; that each is taken for the same is tried in tests/server/test_supervisor.py."""
    serving.started[0].send_signal(signal.SIGINT)
    assert ended(serving) == 0
    serving.wait_until_gone()


def test_a_request_that_was_taken_on_is_finished(serving: Service) -> None:
    with closing(connected(serving)) as line:
        line.sendall(post(serving) + FORM[:10])
        until(lambda: serving.get("/healthz")[0] == 200, "the server went on beside it")
        serving.started[0].terminate()
        until(lambda: can_bind(serving.port), "nobody new is let in")
        line.sendall(FORM[10:])
        answer = all_of(line)
    assert answer.startswith(b"HTTP/1.1 4")
    assert answer.rstrip().endswith(b"</html>")
    assert ended(serving) == 0


def test_somebody_who_never_finishes_does_not_keep_it(serving: Service) -> None:
    with closing(connected(serving)) as line:
        line.sendall(post(serving) + FORM[:10])
        until(lambda: serving.get("/healthz")[0] == 200, "the server went on beside it")
        serving.started[0].terminate()
        assert ended(serving) == 0


def test_a_silent_connection_does_not_keep_it(serving: Service) -> None:
    with closing(connected(serving)):
        serving.get("/healthz")
        serving.started[0].terminate()
        assert ended(serving) == 0


def test_many_slow_connections_keep_nobody_else_waiting(shared_service: Service) -> None:
    """Some never end their request line, some never send the body that they have announced."""
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    form = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 900\r\n\r\ntoken="
    with ExitStack() as open_ones:
        for number in range(400):
            line = open_ones.enter_context(closing(connected(shared_service)))
            line.sendall(head + form if number % 2 else head)
        assert shared_service.get("/healthz") == (200, "ok")
        assert ask_once(shared_service.port, 1)


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 40_000, b"431"),
        (b"POST / HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n", b"413"),
        (b"POST /es/ HTTP/1.1\r\nTransfer-Encoding: nonsense\r\n\r\n", b"400"),
    ],
)
def test_what_is_no_request_gets_the_phone_too(
    shared_service: Service, garbage: bytes, status: bytes
) -> None:
    with closing(connected(shared_service)) as line:
        line.sendall(garbage)
        answer = whatever_comes(line)
    assert answer.split(b" ")[1] == status
    assert b'href="tel:988"' in answer
    assert answer.rstrip().endswith(b"</html>")
    assert shared_service.get("/healthz") == (200, "ok")


# --- several processes ----------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgres"])
def crowd(request, make_service) -> Service:
    """Two web processes over one socket, on either database."""
    if request.param == "postgres":
        service = make_service(INTAKE_DATABASE_URL=request.getfixturevalue("postgres_url"))
    else:
        service = make_service().migrate()
    service.start("serve", "--processes", "2")
    service.wait_until_up()
    return service


def workers(service: Service) -> list[int]:
    return [pid for pid, line in processes_of(service.folder).items() if "--socket" in line]


def test_several_processes_share_one_port(crowd: Service) -> None:
    until(lambda: len(workers(crowd)) == 2, "two processes ran")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: crowd.get("/readyz")[0], range(40)))
    assert set(answers) == {200}


def test_a_process_that_dies_is_replaced_while_the_other_serves(crowd: Service) -> None:
    first, second = until(lambda: len(found := workers(crowd)) == 2 and found, "two processes ran")
    os.kill(first, signal.SIGKILL)
    until(lambda: set(workers(crowd)) - {first, second}, "another one was started")
    until(lambda: crowd.get("/healthz") == (200, "ok"), "it answered")
    assert second in workers(crowd)


def test_several_processes_end_together(crowd: Service) -> None:
    crowd.started[0].terminate()
    assert ended(crowd) == 0
    crowd.wait_until_gone()


def test_no_process_outlives_a_killed_parent(crowd: Service) -> None:
    until(lambda: len(workers(crowd)) == 2, "two processes ran")
    crowd.started[0].kill()
    crowd.wait_until_gone()


def test_several_processes_are_refused_once(service: Service) -> None:
    result = service.run("serve", "--processes", "3")
    assert (result.returncode, result.stderr.count("intake db upgrade")) == (1, 1)


# --- the socket ---------------------------------------------------------------------------------------


def test_an_address_of_another_machine_is_reported_by_its_setting(tmp_path) -> None:
    elsewhere = settings_for(tmp_path, "sqlite://", host="192.0.2.1", port=free_port())
    with pytest.raises((Refused, SettingsError), match="INTAKE_HOST"):
        supervisor.listen(elsewhere)


def test_a_name_that_is_none_is_reported_by_its_setting(tmp_path, monkeypatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "create_server", unknown)
    with pytest.raises(SettingsError, match="INTAKE_HOST"):
        supervisor.listen(settings_for(tmp_path, "sqlite://", host="nowhere"))


def test_a_socket_that_was_not_handed_down_is_refused(service: Service) -> None:
    result = service.run("serve", "--socket", "77")
    assert (result.returncode, "--socket" in result.stderr) == (1, True)


def test_it_listens_on_ipv6_too(tmp_path) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.fail("this machine has no IPv6 loopback")
    with supervisor.listen(settings_for(tmp_path, "sqlite://", host="::1", port=free_port())) as listener:
        assert listener.family == socket.AF_INET6


AMBIGUOUS = {
    "two lengths": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "folded": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "folded elsewhere": b"X-Some:\r\n thing\r\n\r\n",
    "unknown coding": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("framing", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_two_servers_may_read_in_two_ways_is_refused_with_help(
    shared_service: Service, framing: bytes
) -> None:
    """One answer with all security headers, after which the connection is closed."""
    with closing(connected(shared_service)) as line:
        line.sendall(f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{shared_service.port}\r\n".encode() + framing)
        answer = whatever_comes(line).decode()
    assert answer[:12] in ("HTTP/1.0 400", "HTTP/1.1 400")
    assert answer.count("HTTP/1.") == 1
    assert "Content-Security-Policy: default-src 'none'" in answer
    assert "(305) 555-0142" in answer
    assert "988" in answer


def test_an_address_that_cannot_be_read_is_refused_with_help(shared_service: Service) -> None:
    with closing(connected(shared_service)) as line:
        line.sendall(b"GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = whatever_comes(line).decode()
    assert answer[:12] in ("HTTP/1.0 400", "HTTP/1.1 400")
    assert "(305) 555-0142" in answer
