"""What an address and a password must look like. Every refusal says where and what to do.

Addresses are checked for sanity only: whether one exists is known when a letter arrives. Passwords have a length and no
recipe, as NIST SP 800-63B advises.
"""

from __future__ import annotations

import re
import unicodedata

from trialogue import InvalidError, normal_email

SHORTEST, LONGEST = 8, 1024
#: RFC 5321, 4.5.3.1.3: a path holds 256 octets, two of them the angle brackets.
LONGEST_EMAIL = 254

# One @, a domain with a dot in it, nothing that is a separator, a quote or invisible.
_EMAIL = re.compile(r"""[^\s@<>()\[\],;:\\"]{1,64}@[^\s@<>()\[\],;:\\"]+\.[^\s@<>()\[\],;:\\".]{2,63}""")


def checked_email(email: str) -> str:
    """The address as it is stored. Raises ``InvalidError``."""
    spelled = normal_email(email)
    if len(spelled) > LONGEST_EMAIL or not spelled.isprintable() or _EMAIL.fullmatch(spelled) is None:
        raise InvalidError(f"{email[:64]!r} is not an e-mail address: send one like name@example.org", pointer="/email")
    if ".." in spelled or "@." in spelled or ".@" in spelled or spelled.startswith("."):
        raise InvalidError(f"{email[:64]!r} has a dot where none can be: check the address", pointer="/email")
    return spelled


def checked_password(secret: str) -> bytes:
    """The password as it is hashed. Raises ``InvalidError``, which never repeats the password."""
    try:
        spelled = normal_password(secret)
    except UnicodeEncodeError:
        # Not chained: the original carries the password.
        raise InvalidError("the password is not valid Unicode: type it again", pointer="/password") from None
    length = len(spelled.decode())
    if length < SHORTEST:
        raise InvalidError(f"the password is too short: use at least {SHORTEST} characters", pointer="/password")
    if length > LONGEST:
        raise InvalidError(f"the password is too long: use at most {LONGEST} characters", pointer="/password")
    return spelled


def normal_password(secret: str) -> bytes:
    """One spelling for what looks the same on every keyboard (NFKC), in UTF-8. Raises ``UnicodeEncodeError``."""
    return unicodedata.normalize("NFKC", secret).encode()
