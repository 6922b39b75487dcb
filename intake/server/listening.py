"""The one socket that web processes share, bound before anything else is done."""

import errno
import os
import socket

from intake.conf.settings import Settings
from intake.core.errors import Refused, SettingsError

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
