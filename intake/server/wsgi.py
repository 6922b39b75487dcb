"""One web process: waitress over a socket it was given, which serves what it took on before it ends."""

import errno
import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented
from waitress.server import TcpWSGIServer, create_server
from waitress.task import ErrorTask

from intake.accounts import credentials
from intake.conf.settings import Settings
from intake.core.clock import now
from intake.core.errors import Refused, SettingsError
from intake.core.i18n import LANGUAGES
from intake.web.headers import headers_for

CONNECTIONS = 1000
"""Slow connections cost no thread: 800 of them did not stop this server (decisions.md 29)."""
SILENT_SECONDS = 60
LARGEST_HEADER, LARGEST_BODY = 32_768, 1_048_576
_HEADERS = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
_FOLDED = re.compile(rb"\r\n[ \t]")
_LENGTHS = (b"\r\ncontent-length", b"\r\ntransfer-encoding")
DRAIN_SECONDS = 8.0
_FIRST_WORD_SECONDS = 0.5
_TICK = 0.5
_DRAIN_TICK = 0.05


def serve(
    app: Callable[..., Any],
    listener: socket.socket,
    settings: Settings,
    stop: Event,
    pages: Mapping[str, bytes],
) -> None:
    """Answer requests until `stop` is set; then take no new ones, finish the others, and return.

    `pages` are the fallback pages by name: what is no request at all is answered with them.
    """
    credentials.release_hashing_slot(settings.web_threads)
    server = create_server(
        app,
        sockets=[listener],
        threads=settings.web_threads,
        connection_limit=CONNECTIONS,
        channel_timeout=SILENT_SECONDS,
        cleanup_interval=10,
        asyncore_use_poll=True,
        max_request_header_size=LARGEST_HEADER,
        max_request_body_size=LARGEST_BODY,
        clear_untrusted_proxy_headers=not settings.trusted_proxies,
        log_socket_errors=False,
        ident=None,
    )
    server.channel_class = _channel_with(_by_language(pages), headers_for(settings))
    while not stop.is_set():
        _turn(server, _TICK)
    _drain(server)


def _by_language(pages: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return {language: pages[f"500.{language}.html"] for language in LANGUAGES}


class Strict(HTTPRequestParser):  # type: ignore[misc]
    """Refuses framing that two servers may read in two ways (reliability.md G12), and answers 400 to it."""

    def parse_header(self, header_plus: bytes) -> None:
        """Read the head of a request. Raises ParsingError, which waitress answers and then hangs up."""
        names = header_plus.lower()
        if _FOLDED.search(header_plus) or all(name in names for name in _LENGTHS):
            raise ParsingError("ambiguous framing")
        try:
            super().parse_header(header_plus)
        except (ValueError, TransferEncodingNotImplemented):
            raise ParsingError("unreadable") from None


def _channel_with(pages: Mapping[str, bytes], dress: Mapping[str, str]) -> type[HTTPChannel]:
    """Waitress answers what it cannot read in a line of its own; a person needs the phone there too (P4)."""

    class Refusal(ErrorTask):  # type: ignore[misc]
        def execute(self) -> None:
            self.status, _, _ = self.request.error.to_response()
            page = pages["es" if str(getattr(self.request, "path", "")).startswith("/es") else "en"]
            self.response_headers += [*_HEADERS, *dress.items()]
            self.set_close_on_finish()
            self.content_length = len(page)
            self.write(page)

    class Channel(HTTPChannel):  # type: ignore[misc]
        error_task_class = Refusal
        parser_class = Strict

    return Channel


def _turn(server: TcpWSGIServer, seconds: float) -> None:
    wasyncore.loop(timeout=seconds, use_poll=True, map=server._map, count=1)  # noqa: SLF001  as its own run()


def _drain(server: TcpWSGIServer) -> None:
    """Close the door, let those inside finish, for DRAIN_SECONDS at most."""
    _turn(server, 0)
    wasyncore.dispatcher.close(server)
    deadline = time.monotonic() + DRAIN_SECONDS
    while _busy(server) and time.monotonic() < deadline:
        _turn(server, _DRAIN_TICK)
    server.task_dispatcher.shutdown(timeout=1)
    wasyncore.close_all(server._map, ignore_all=True)  # noqa: SLF001


def _busy(server: TcpWSGIServer) -> bool:
    return any(_unfinished(channel) for channel in list(server.active_channels.values()))


def _unfinished(channel: HTTPChannel) -> bool:
    """Somebody is being answered, is still sending, or has only just come in."""
    silent = channel.last_activity == channel.creation_time
    fresh = silent and now().timestamp() - channel.creation_time < _FIRST_WORD_SECONDS
    return bool(channel.requests or channel.request or channel.total_outbufs_len or fresh)


# --- The one socket that web processes share, bound before anything else is done.

BACKLOG = 1024


def listen(settings: Settings) -> socket.socket:
    """A listening socket on the address that `settings` name. Raises Refused, saying what to set."""
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except socket.gaierror:
        raise SettingsError(["INTAKE_HOST: is not an address of this machine."]) from None
    except OSError as failure:
        raise _told(failure, port) from None


def _told(failure: OSError, port: int) -> Refused:
    if failure.errno == errno.EADDRINUSE:
        return Refused(f"Port {port} is in use; set INTAKE_PORT.")
    if failure.errno == errno.EACCES:
        return Refused(f"Port {port} is not open to this account; set INTAKE_PORT.")
    return Refused(f"INTAKE_HOST: cannot be listened on ({os.strerror(failure.errno or 0)}).")


def inherited(descriptor: int) -> socket.socket:
    """The listening socket that the process above handed down. Raises Refused when it is none."""
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        raise Refused("--socket must be the number of a listening socket that was handed down.") from None
