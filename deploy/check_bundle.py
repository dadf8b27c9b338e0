"""Holds a bundle against its own checksums and against this machine, before anything is installed: each problem is a line.

Runs with nothing but the Python that is to serve. Checksums find what was damaged, cut off or mixed up on the way. They
come in the same archive: that it comes from its maker says a signature of theirs, which is checked when one is told whose
keys to believe, and before anything else is read.
"""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: Their files are part of what is installed, so that one that is not listed is not wanted.
CLOSED = ("wheels", "requirements")
#: What signatures of bundles are for, so that one that was made for something else does not count.
NAMESPACE = "trialogue-bundle"


def main(folder: Path, signers: Path | None = None) -> int:
    """1 when something is wrong, after it was said. ``signers`` are those to believe, as ssh-keygen's ALLOWED SIGNERS."""
    problems = [] if signers is None else list(forgeries(folder, signers))
    if not problems:
        problems = [*_told(damage, folder), *_told(misfits, folder)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def _told(look: Callable[[Path], Iterator[str]], folder: Path) -> Iterator[str]:
    """What it finds, and that it could not look further."""
    try:
        yield from look(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"the bundle's manifest or checksums cannot be read ({error}): unpack the archive again"


def forgeries(folder: Path, signers: Path) -> Iterator[str]:
    """Why the checksums, and so all files, are not from one of the ``signers``."""
    signature = folder / "SHA256SUMS.sig"
    if not signers.is_file():
        yield f"the keys to believe are not at {str(signers)!r}: name a file of allowed signers in SIGNERS"
    elif not signature.is_file():
        yield f"the bundle is not signed, and {str(signers)!r} says whose signature it must have: fetch a signed one"
    else:
        given = ["-f", str(signers), "-n", NAMESPACE, "-s", str(signature)]
        try:
            signer = _keygen("find-principals", *given).partition("\n")[0].partition(",")[0]
            _keygen("verify", *given, "-I", signer, sealed=(folder / "SHA256SUMS").read_bytes())
        except FileNotFoundError as error:
            yield f"the signature cannot be checked, as {error.filename} is missing: install openssh-client"
        except (ValueError, OSError):
            yield f"the bundle is not signed by one of {str(signers)!r}, or was changed since: fetch another copy"


def _keygen(action: str, *words: str, sealed: bytes = b"") -> str:
    """What it says. Raises ``ValueError`` when it says no."""
    done = subprocess.run(["ssh-keygen", "-Y", action, *words], input=sealed, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="replace")


def damage(folder: Path) -> Iterator[str]:
    """What is missing, not as it was packed, or not of the bundle."""
    lines = [line.partition("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = {name: expected for expected, _, name in lines}
    if "manifest.json" not in sums:
        yield "SHA256SUMS is cut off: unpack the archive again"
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            yield f"{name} is missing: unpack the archive again"
        elif sha256(path) != expected:
            yield f"{name} is not as it was packed: unpack the archive again, or fetch another copy"
    for part in CLOSED:
        for path in sorted((folder / part).glob("*")):
            if (name := path.relative_to(folder).as_posix()) not in sums:
                yield f"{name} does not belong to the bundle: remove it"


def misfits(folder: Path) -> Iterator[str]:
    """What this machine is, and the bundle is not for."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())  # Any: as JSON has it.
    if (machine := platform.machine()) != manifest["machine"]:
        yield f"the bundle is for {manifest['arch']} ({manifest['machine']}), and this machine is {machine}: take its own"
    python, served = "{}.{}".format(*sys.version_info), manifest["pythons"]
    if python not in served:
        yield (
            f"the bundle serves Python {', '.join(served)}, and {sys.executable} is {python}: "
            f"name another one as PYTHON=/usr/bin/python{served[0]}"
        )
    library, version = platform.libc_ver()
    if library != "glibc" or _numbers(version) < _numbers(manifest["glibc"]):
        yield f"the bundle needs glibc {manifest['glibc']} or newer, and here is {library or 'another library'} {version}"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _numbers(version: str) -> list[int]:
    return [int(one) for one in version.split(".")]


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:3])))
