"""No test reaches another machine: sockets and look-ups of names stay on the loopback and on local files."""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import pytest

_INTERNET = (socket.AF_INET, socket.AF_INET6)
_HERE = (None, "", "localhost")


def _refuse_elsewhere(host: str | bytes | None) -> None:
    """Fails the test whatever the code under test catches: what it raises is no Exception."""
    name = host.decode() if isinstance(host, bytes) else host
    if name not in _HERE and not _on_the_loopback(str(name)):
        pytest.fail(f"a test tried to reach {name}")


def _on_the_loopback(name: str) -> bool:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified  # 0.0.0.0 is this machine, too


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def checked(self: socket.socket, address: Any) -> Any:
        if self.family in _INTERNET:
            _refuse_elsewhere(address[0])
        return connect(self, address)

    return checked


def _look_up(host: str | bytes | None, *arguments: Any, **more: Any) -> Any:
    _refuse_elsewhere(host)
    return _real_look_up(host, *arguments, **more)


_real_look_up = socket.getaddrinfo


def pytest_configure(config: pytest.Config) -> None:
    """From here to the end of the run, fixtures of every scope included."""
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    patch.setattr(socket.socket, "connect", _guarded(socket.socket.connect))
    patch.setattr(socket.socket, "connect_ex", _guarded(socket.socket.connect_ex))
    patch.setattr(socket, "getaddrinfo", _look_up)
