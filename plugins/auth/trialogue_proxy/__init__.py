"""Logging in by a proxy in front of the server, which knows who is calling and says so in headers.

    TRIALOGUE_PROXY_USER_HEADER=Remote-User     names the person; the plugin does nothing without it
    TRIALOGUE_PROXY_EMAIL_HEADER=Remote-Email   absent, the user header holds the address
    TRIALOGUE_PROXY_NAME_HEADER=Remote-Name
    TRIALOGUE_PROXY_REGISTRATION=open           let it make accounts though registration is not open

Only requests of addresses in ``trusted_proxies`` are looked at. The proxy must remove these headers from what it is sent:
whoever can set them is whoever they like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trialogue import HeaderLogin, hookimpl
from trialogue_proxy._login import ProxyLogin, read_settings


@hookimpl
def trialogue_header_logins(environment: Mapping[str, str]) -> Sequence[HeaderLogin]:
    """One login, when a header is named."""
    settings = read_settings(environment)
    return [] if settings is None else [ProxyLogin(settings)]
