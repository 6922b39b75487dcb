"""One web process: waitress on a listening socket, with a graceful shutdown."""

import re
import socket
import time
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError, TransferEncodingNotImplemented
from waitress.server import create_server
from waitress.task import ErrorTask

from intake.accounts import credentials
from intake.conf.settings import Settings
from intake.core.clock import now
from intake.core.i18n import LANGUAGES, language_of
from intake.web.headers import headers_for

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

    The others have DRAIN_SECONDS. `pages` are the fallback pages by file name, with which malformed requests
    are answered.
    """
    credentials.limit_hashing_slots(settings.web_threads)
    channels: dict[int, Any] = {}
    server = create_server(
        app,
        map=channels,
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
        _poll(channels, _TICK)
    _poll(channels, 0)
    wasyncore.dispatcher.close(server)  # accepts no more; its own close() would also close the wake-up pipe
    deadline = time.monotonic() + DRAIN_SECONDS
    while any(map(_unfinished, list(server.active_channels.values()))) and time.monotonic() < deadline:
        _poll(channels, _DRAIN_TICK)
    server.task_dispatcher.shutdown(timeout=1)
    wasyncore.close_all(channels, ignore_all=True)


def _poll(channels: dict[int, Any], seconds: float) -> None:
    """One turn of the server's loop, as its `run()` does it; that one has no end but a signal."""
    wasyncore.loop(timeout=seconds, use_poll=True, map=channels, count=1)


def _unfinished(channel: HTTPChannel) -> bool:
    """Whether a request is being received or answered, or the connection was opened within half a second."""
    silent = channel.last_activity == channel.creation_time
    new = silent and now().timestamp() - channel.creation_time < _FIRST_BYTE_SECONDS
    return bool(channel.requests or channel.request or channel.total_outbufs_len or new)


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
