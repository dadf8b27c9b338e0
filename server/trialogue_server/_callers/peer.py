"""Where a request came from: the caller's address, whether TLS carried it, and which page sent it.

``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed only from a trusted proxy: anyone can write them.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv6Address, ip_network
from urllib.parse import urlsplit

from trialogue_server._http.call import Call
from trialogue_server._http.errors import OriginError


class Peers:
    """What the configuration says about proxies and about the server's own address."""

    def __init__(self, *, public_url: str, trusted_origins: Collection[str], trusted_proxies: Collection[str]) -> None:
        self._public = public_url
        self._proxies = frozenset(trusted_proxies)
        self._origins = frozenset({_origin(public_url), *map(_origin, trusted_origins)} - {""})

    def address(self, call: Call) -> str:
        """The caller's address; behind trusted proxies, the first that is none of them."""
        address = _client(call)
        if address in self._proxies:
            for hop in reversed(call.header("x-forwarded-for").split(",")):
                if not hop.strip():
                    break
                address = plain(hop.strip()[:64])
                if address not in self._proxies:
                    break
        return address

    def network(self, call: Call) -> str:
        """What the caller's address counts as, wherever something is counted."""
        return network(self.address(call))

    def is_secure(self, call: Call) -> bool:
        """Whether the caller's side of the connection is TLS."""
        if self._public:
            return self._public.startswith("https:")
        if call.scope.get("scheme") == "https":
            return True
        return _client(call) in self._proxies and call.header("x-forwarded-proto").strip().lower() == "https"

    def own_address(self, call: Call) -> str:
        """Scheme and host under which the caller reaches us."""
        if self._public:
            return self._public.rstrip("/")
        return f"{'https' if self.is_secure(call) else 'http'}://{call.header('host')}"

    def is_trusted(self, call: Call) -> bool:
        """Whether a trusted proxy sent it, whose headers are believed."""
        return _client(call) in self._proxies

    def check_origin(self, call: Call) -> None:
        """Raises ``OriginError`` for what a browser sends on behalf of another site (cross-site request forgery).

        A program that is no browser sends no ``Origin``, and a browser always does with an unsafe method; where one is
        missing all the same, ``Sec-Fetch-Site`` decides.
        """
        origin = call.header("origin")
        if not origin:
            if call.header("sec-fetch-site") == "cross-site":
                raise OriginError("sent by another site's page: use this server's own page")
        elif origin not in self._origins and not _same_host(origin, call.header("host")):
            raise OriginError(f"origin {origin[:100]!r} is not this server: set public_url if it is its address")


def _client(call: Call) -> str:
    client = call.scope.get("client")
    # No address: a local socket.
    return plain(str(client[0])) if client else "local"


def plain(address: str) -> str:
    """An address as it is written in the settings."""
    # A socket that listens for both shows IPv4 within IPv6. Who wrote 192.0.2.1 into the settings meant that one as well.
    return address[7:] if address.startswith("::ffff:") and "." in address else address


@lru_cache(maxsize=10_000)
def network(address: str) -> str:
    """What an address counts as: itself, or the network of an IPv6 address, of which anyone has a whole one."""
    try:
        IPv6Address(address)
    except ValueError:
        return address
    return str(ip_network(f"{address.partition('%')[0]}/64", strict=False))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower() if parts.scheme and parts.netloc else ""


def _same_host(origin: str, host: str) -> bool:
    # The scheme is not compared: a proxy that ends TLS need not say so, and another host is what matters here.
    return origin.lower() in (f"http://{host}".lower(), f"https://{host}".lower())
