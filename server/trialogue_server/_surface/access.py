"""Whether a caller may use a route: the one place where ``Route.needed`` is looked at."""

from __future__ import annotations

from trialogue import ForbiddenError, Principal
from trialogue_server._http.errors import ScopeError
from trialogue_server._surface.routes import Route


def check_access(principal: Principal, route: Route) -> None:
    """Raises ``ScopeError`` for a key that was made for less, ``ForbiddenError`` for what the account may not do."""
    needed = route.needed
    if principal.key is not None and needed != "public":
        if needed == "account":
            raise ForbiddenError("API keys decide nothing about an account: log in for this")
        if needed not in principal.scopes:
            raise ScopeError(f"this API key has no scope {needed!r}: use one that has", needed)
    if needed == "admin" and principal.user.role != "admin":
        raise ForbiddenError("this is for administrators: ask one")
