"""Where this node is reached by others, as far as that can be known without being told."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from trialogue import ConfigurationError
from trialogue_server.config import Config


def address_of(config: Config, port: int | None) -> str:
    """The address that other nodes are told; '' without a secret to speak with.

    ``port`` is the one that is listened on, if that is known. Raises ``ConfigurationError`` when nobody could know.
    """
    if not config.cluster_secret:
        return ""
    if config.advertise:
        return _checked(config.advertise.rstrip("/"))
    if port and not config.host.startswith("unix:") and not _is_any(config.host):
        return f"http://[{config.host}]:{port}" if ":" in config.host else f"http://{config.host}:{port}"
    raise ConfigurationError(
        "cluster_secret is set, and where other nodes reach this one is not known: set advertise, such as "
        "http://10.0.0.5:4512"
    )


def _checked(address: str) -> str:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"advertise={address!r} is no address ({error})") from error
    if parts.hostname is None or port == 0 or _is_any(parts.hostname):
        raise ConfigurationError(
            f"advertise={address!r} is no address that others can reach: name one of this machine's"
        )
    return address


def name_of(config: Config, port: int | None) -> str:
    """The node's name, for people."""
    return config.node_name or f"{socket.gethostname()}:{port or config.port}"


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
