"""Secrets that systemd hands over as files (``LoadCredential=``), read as if they were variables of the environment.

A file is named like the variable, after a prefix: with ``LoadCredential=env:/etc/trialogue/credentials``, the folder's file
``OPENAI_API_KEY`` arrives as ``env_OPENAI_API_KEY``. So secrets stand in files that only root can read, and in no unit,
command line or ``systemctl show``. A variable that is set as well wins, as it is the nearer one.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from pathlib import Path

FOLDER = "CREDENTIALS_DIRECTORY"
PREFIX = "env_"
#: Longest secret; a key is a hundred characters, a certificate's chain some thousands.
MOST = 65_536

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def read_credentials(environment: MutableMapping[str, str]) -> None:
    """Put the secrets that were handed over into ``environment``. Raises ``ConfigurationError`` for one that is none."""
    folder = environment.get(FOLDER)
    if not folder:
        return
    try:
        files = sorted(path for path in Path(folder).iterdir() if path.name.startswith(PREFIX))
    except OSError as error:
        raise _wrong(f"the folder of credentials {folder!r} cannot be read: {error.strerror}") from error
    for path in files:
        name = path.name.removeprefix(PREFIX)
        if _NAME.fullmatch(name):
            value = _read(path)
            if not environment.get(name):
                environment[name] = value


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MOST + 1)
        value = data.decode().rstrip("\r\n")
    except OSError as error:
        raise _wrong(f"the credential {path.name!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _wrong(
            f"the credential {path.name!r} is not UTF-8: write the secret into it, and nothing else"
        ) from error
    if not value or len(data) > MOST or "\0" in value or "\n" in value:
        # A newline may be a second secret, and is none that a header can carry.
        raise _wrong(f"the credential {path.name!r} holds no secret: one line is expected, of at most {MOST} bytes")
    return value


def _wrong(detail: str) -> Exception:
    from trialogue import ConfigurationError  # As in ``_settings``: `--help` does without the core.

    return ConfigurationError(detail)
