"""Secrets are masked wherever text leaves for a person: logs, error lines, the list of settings.

This is the last net, for what slips in through an exception or a URL. Code that knows it holds a secret does not show it.
"""

from __future__ import annotations

import re

HIDDEN = "***"

_SECRETS = re.compile(
    r"""
      (?<=://)(?P<user>[^/@\s:"']*):[^/@\s"']+(?=@)        # the password in a URL
    | \b(?P<scheme>Bearer|Basic)\s+[\w.~+/=-]{8,}          # an Authorization header
    | \b(?P<prefix>sk-|tl_)[\w-]{8,}                   # keys of vendors, and our own
    | (?P<name>(?:password|secret|token|api_key)=)[^&\s"']+  # a parameter of a query
    """,
    re.VERBOSE | re.IGNORECASE,
)

#: Names of fields whose values are not shown.
SECRET_NAME = re.compile("(^|[_-])(password|secret|token|api_?key|authorization|cookie)$", re.IGNORECASE)


def mask(text: str) -> str:
    """``text`` with what looks like a secret replaced by stars; what kind it was stays readable."""
    return _SECRETS.sub(_stars, text)


def _stars(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "user":
            return f"{match['user']}:{HIDDEN}"
        case "scheme":
            return f"{match['scheme']} {HIDDEN}"
        case _:
            return f"{match['prefix'] or match['name']}{HIDDEN}"
