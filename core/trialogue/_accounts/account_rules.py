"""What an address and a name must look like, whoever makes the account. Every refusal says where and what to do.

Addresses are checked for sanity only: whether one exists is known when a letter arrives.
"""

from __future__ import annotations

import re

from trialogue._facts.errors import InvalidError

LONGEST_NAME = 200
#: RFC 5321, 4.5.3.1.3: a path holds 256 octets, two of them the angle brackets.
LONGEST_EMAIL = 254

# One @, a domain with a dot in it, nothing that is a separator, a quote or invisible.
_EMAIL = re.compile(r"""[^\s@<>()\[\],;:\\"]{1,64}@[^\s@<>()\[\],;:\\"]+\.[^\s@<>()\[\],;:\\".]{2,63}""")


def normal_email(email: str) -> str:
    """The one spelling under which an address is stored and compared."""
    return email.strip().casefold()


def checked_email(email: str) -> str:
    """The address as it is stored. Raises ``InvalidError``."""
    spelled = normal_email(email)
    if len(spelled) > LONGEST_EMAIL or not spelled.isprintable() or _EMAIL.fullmatch(spelled) is None:
        raise InvalidError(f"{email[:64]!r} is not an e-mail address: send one like name@example.org", pointer="/email")
    if ".." in spelled or "@." in spelled or ".@" in spelled or spelled.startswith("."):
        raise InvalidError(f"{email[:64]!r} has a dot where none can be: check the address", pointer="/email")
    return spelled


def checked_name(name: str, email: str) -> str:
    """The name as it is shown; for an empty one, what stands before the @. Raises ``InvalidError``."""
    shown = name.strip() or email.partition("@")[0]
    if len(shown) > LONGEST_NAME or not shown.isprintable():
        raise InvalidError(f"the name must be at most {LONGEST_NAME} printable characters", pointer="/name")
    return shown
