"""What a password must look like. Every refusal says what to do.

Passwords have a length and no recipe, as NIST SP 800-63B advises.
"""

from __future__ import annotations

import unicodedata

from trialogue import InvalidError

SHORTEST, LONGEST = 8, 1024


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
