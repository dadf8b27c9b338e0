"""The switch that forbids calls to real models, so that no test spends money or depends on the weather.

Whoever tests sets ``TRIALOGUE_FORBID_MODEL_CALLS`` (``trialogue.testing.forbid_model_calls`` does); providers that ask
an upstream over a network call ``check_allowed`` first. The loopback interface is always allowed: fakes live there.
"""

from __future__ import annotations

import ipaddress
import os
from typing import Final

from trialogue._facts.errors import ProviderError

#: Set to anything but the empty string, it forbids.
VARIABLE: Final = "TRIALOGUE_FORBID_MODEL_CALLS"


def check_allowed(host: str) -> None:
    """Raises ``ProviderError`` (refused) when calls to real models are forbidden and ``host`` is not this machine."""
    if os.environ.get(VARIABLE) and not _is_loopback(host):
        raise ProviderError(f"calls to real models are forbidden here ({VARIABLE} is set): {host!r}", kind="refused")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
