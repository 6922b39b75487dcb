"""One web process: waitress on a listening socket, with a graceful shutdown.

The socket is created once and shared by all web processes, before anything else is started.
"""

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
from intake.core.i18n import LANGUAGES, language_of
from intake.web.headers import headers_for

BACKLOG = 1024
CONNECTIONS = 1000
"""Slow connections occupy no thread: a drill with 800 of them left the server answering."""
SILENT_SECONDS = 60
LARGEST_HEADER, LARGEST_BODY = 32_768, 1_048_576
_HEADERS = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]
_FOLDED_HEADER = re.compile(rb"\r\n[ \t]")
_FRAMING_HEADERS = (b"\r\ncontent-length", b"\r\ntransfer-encoding")
DRAIN_SECONDS = 8.0
_FIRST_BYTE_SECONDS = 0.5
_TICK = 0.5
_DRAIN_TICK = 0.05


def serve(
    app: Callable[..., Any],
    listener: socket.socket,
    settings: Settings,
    stop: Event,
    pages: Mapping[str, bytes],
) -> None:
    """Answer requests until `stop` is set; then accept no new ones, finish the others, and return.

    `pages` are the fallback pages by file name, with which malformed requests are answered.
    """
    credentials.limit_hashing_slots(settings.web_threads)
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
    by_language = {language: pages[f"500.{language}.html"] for language in LANGUAGES}
    server.channel_class = _channel_class(by_language, headers_for(settings))
    while not stop.is_set():
        _poll(server, _TICK)
    _drain(server)


class StrictParser(HTTPRequestParser):  # type: ignore[misc]
    """Answers 400 to ambiguous framing, which a proxy in front may parse in another way (request smuggling).

    That is a folded header, or both Content-Length and Transfer-Encoding (RFC 9112, 5.2 and 6.1).
    """

    def parse_header(self, header_plus: bytes) -> None:
        """Parse the request headers. Raises ParsingError; waitress answers it and closes the connection."""
        names = header_plus.lower()
        if _FOLDED_HEADER.search(header_plus) or all(name in names for name in _FRAMING_HEADERS):
            raise ParsingError("ambiguous framing")
        try:
            super().parse_header(header_plus)
        except (ValueError, TransferEncodingNotImplemented):
            raise ParsingError("unreadable") from None


def _channel_class(pages: Mapping[str, bytes], headers: Mapping[str, str]) -> type[HTTPChannel]:
    """Answer malformed requests with our error page, which has the clinic's phone (promise P4)."""

    class MalformedRequestTask(ErrorTask):  # type: ignore[misc]
        def execute(self) -> None:
            self.status, _, _ = self.request.error.to_response()
            page = pages[language_of(str(getattr(self.request, "path", "")))]
            self.response_headers += [*_HEADERS, *headers.items()]
            self.set_close_on_finish()
            self.content_length = len(page)
            self.write(page)

    class Channel(HTTPChannel):  # type: ignore[misc]
        error_task_class = MalformedRequestTask
        parser_class = StrictParser

    return Channel


def _poll(server: TcpWSGIServer, seconds: float) -> None:
    wasyncore.loop(timeout=seconds, use_poll=True, map=server._map, count=1)  # noqa: SLF001  as in its own run()


def _drain(server: TcpWSGIServer) -> None:
    """Stop accepting, then wait for requests in progress, for DRAIN_SECONDS at most."""
    _poll(server, 0)
    wasyncore.dispatcher.close(server)
    deadline = time.monotonic() + DRAIN_SECONDS
    while any(map(_unfinished, list(server.active_channels.values()))) and time.monotonic() < deadline:
        _poll(server, _DRAIN_TICK)
    server.task_dispatcher.shutdown(timeout=1)
    wasyncore.close_all(server._map, ignore_all=True)  # noqa: SLF001


def _unfinished(channel: HTTPChannel) -> bool:
    """Whether a request is being received or answered, or the connection was opened within half a second."""
    silent = channel.last_activity == channel.creation_time
    new = silent and now().timestamp() - channel.creation_time < _FIRST_BYTE_SECONDS
    return bool(channel.requests or channel.request or channel.total_outbufs_len or new)


def listen(settings: Settings) -> socket.socket:
    """A listening socket on the configured host and port. Raises Refused, SettingsError."""
    host, port = settings.host, settings.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except socket.gaierror:
        raise SettingsError(["INTAKE_HOST: is not an address of this machine."]) from None
    except OSError as failure:
        raise _bind_failure(failure, port) from None


def _bind_failure(failure: OSError, port: int) -> Refused:
    if failure.errno == errno.EADDRINUSE:
        return Refused(f"Port {port} is in use; set INTAKE_PORT.")
    if failure.errno == errno.EACCES:
        return Refused(f"Port {port} is not open to this account; set INTAKE_PORT.")
    return Refused(f"INTAKE_HOST: cannot be listened on ({os.strerror(failure.errno or 0)}).")


def inherited_socket(descriptor: int) -> socket.socket:
    """The listening socket inherited from the parent process. Raises Refused when it is none."""
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        raise Refused("--socket must be the number of a listening socket that was handed down.") from None
