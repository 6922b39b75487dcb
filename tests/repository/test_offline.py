"""The tests cannot reach another machine, even if the code under test swallows the refusal."""

import contextlib
import socket

import pytest

ELSEWHERE = "192.0.2.1"  # reserved for documentation: nobody is there
REFUSED = pytest.fail.Exception


@pytest.mark.parametrize("act", ["connect", "connect_ex"])
def test_a_socket_cannot_be_opened_elsewhere(act: str) -> None:
    with socket.socket() as door, pytest.raises(REFUSED, match=ELSEWHERE), contextlib.suppress(Exception):
        getattr(door, act)((ELSEWHERE, 25))


def test_a_name_cannot_be_looked_up_elsewhere() -> None:
    with pytest.raises(REFUSED, match=r"mail\.example\.org"):
        socket.create_connection(("mail.example.org", 25))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_loopback_is_open(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((host, server.getsockname()[1])).close()
