"""Sockets that the web page's server listens at."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from explainers.errors import InputError

MAX_PORT = 65535


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Listen at all addresses of a host; browsers that come early wait for the server.

    Raises:
        InputError: the port is out of range or taken, or the host is not this machine's.
    """
    if not 1 <= port <= MAX_PORT:
        raise InputError(f"port {port} is outside 1 to {MAX_PORT}; choose another by --port")
    with ExitStack() as opened:
        sockets = []
        for family, address in _addresses(host, port):
            one = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            try:
                _listen(one, address)
            except OSError as error:
                raise InputError(_reason(error, host, port)) from error
            sockets.append(one)
        yield sockets


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    name = host.removeprefix("[").removesuffix("]")
    try:
        if not name.strip():
            raise UnicodeError("it is empty")
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(_unknown(host)) from error
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _listen(one: socket.socket, address: tuple[Any, ...]) -> None:
    if one.family == socket.AF_INET6:  # else it takes the address of IPv4 too
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows shares a port otherwise
        one.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:  # a server that has just ended does not block its port
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind(address)
    one.listen()


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken by another program; choose another by --port"
    if error.errno == errno.EACCES:
        return f"port {port} of {host} is not yours to use; choose one from 1024 on by --port"
    return _unknown(host)


def _unknown(host: str) -> str:
    return (
        f"{host!r} is no address of this machine; leave out --host for this machine only, or take "
        "--host 0.0.0.0 to let others in"
    )
