"""Ports, taken before anything else is opened, so that "in use" is the first thing an operator reads.

Also the sockets that systemd opened for us (``LISTEN_FDS``), which several processes may share.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Mapping
from typing import Any

from hypercorn.config import Config, Sockets

from trialogue import ConfigurationError

_FIRST_FD = 3  # Where systemd's sockets begin.

_ADVICE = {
    errno.EADDRINUSE: "something else is listening there: stop it, or choose another port",
    errno.EACCES: "that needs a privilege: choose a port from 1024 on, or let systemd open the socket",
    errno.EADDRNOTAVAIL: "that address is not one of this machine's: use one of them, or 0.0.0.0 for all",
}

#: A family that this machine does not have is no reason to refuse a name that has others.
_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def inherited_fds(environment: Mapping[str, str], pid: int) -> list[int]:
    """The numbers of the sockets that systemd passed to the process ``pid``; none if it passed none."""
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(pid) or not count.isdecimal():
        return []
    return list(range(_FIRST_FD, _FIRST_FD + int(count)))


def open_sockets(config: Config) -> Sockets:
    """Bind and listen on everything ``config.bind`` names. Raises ``ConfigurationError`` with what to do."""
    opened: list[socket.socket] = []
    try:
        for bind in config.bind:
            opened.extend(_open(bind, config.backlog))
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    if config.ssl_enabled:
        return Sockets(opened, [], [])
    return Sockets([], opened, [])


def close_sockets(sockets: Sockets) -> None:
    """Close them; harmless where they are closed."""
    for sock in (*sockets.secure_sockets, *sockets.insecure_sockets):
        sock.close()


def _open(bind: str, backlog: int) -> list[socket.socket]:
    try:
        if bind.startswith("fd://"):
            return [_adopt(int(bind[5:]), backlog)]
        if bind.startswith("unix:"):
            return [_listen(socket.AF_UNIX, bind[5:], backlog)]
        return _open_tcp(bind, backlog)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
        raise ConfigurationError(f"cannot listen on {bind}: {advice}") from error
    except UnicodeError as error:  # What Python makes of 'a..b'.
        raise ConfigurationError(f"cannot listen on {bind}: this is not the name of a host") from error


def _open_tcp(bind: str, backlog: int) -> list[socket.socket]:
    host, _, port = bind.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    if port == "0":
        del addresses[1:]  # Two addresses would get two different ports.
    opened: list[socket.socket] = []
    failed: OSError | None = None
    for family, address in addresses:
        try:
            opened.append(_listen(family, address, backlog))
        except OSError as error:
            failed = error
            if error.errno not in _NOT_HERE:
                break
    if failed is not None and (not opened or failed.errno not in _NOT_HERE):
        for sock in opened:
            sock.close()
        raise failed
    return opened


def _listen(family: socket.AddressFamily, address: str | tuple[Any, ...], backlog: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_UNIX:
            _remove_stale(str(address))
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(backlog)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _adopt(fd: int, backlog: int) -> socket.socket:
    sock = socket.socket(fileno=fd)
    sock.listen(backlog)
    sock.setblocking(False)
    return sock


def _remove_stale(path: str) -> None:
    # A socket file outlives its process. One that answers is somebody's.
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(path) == 0:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    os.unlink(path)
