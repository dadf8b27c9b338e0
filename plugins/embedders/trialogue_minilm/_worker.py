"""The child process: loads the model, and answers each line of texts with their vectors, until nobody asks.

Run as a program with the weights and the vocabulary; it imports nothing of ours. A line is a JSON list of texts; the answer
is their vectors, one after the other, as float32 in little-endian order and without a frame, since their size is known.
"""

from __future__ import annotations

import json
import os
import select
import sys
from importlib import import_module
from typing import Any

# Any: what they bring of types is not looked at in a program that stands alone.
numpy: Any = import_module("numpy")
onnxruntime: Any = import_module("onnxruntime")
tokenizers: Any = import_module("tokenizers")

#: Tokens that the model was made for.
LONGEST = 256
#: Seconds without a question after which it ends: its memory is wanted elsewhere.
IDLE = 300.0


class Model:
    """The loaded model."""

    def __init__(self, weights: str, vocabulary: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
        self._tokenizer = tokenizers.Tokenizer.from_file(vocabulary)
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.enable_padding()

    def embed(self, texts: list[str]) -> bytes:
        """The mean of what the model says about each token, at length one; zeros for a text without any."""
        found = self._tokenizer.encode_batch([text.encode(errors="replace").decode() for text in texts])
        ids = numpy.array([one.ids for one in found], dtype=numpy.int64)
        mask = numpy.array([one.attention_mask for one in found], dtype=numpy.int64)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
        states = self._session.run(None, inputs)[0]
        means = (states * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        lengths = numpy.linalg.norm(means, axis=1, keepdims=True)
        silent = numpy.array([[not text.strip()] for text in texts])
        return bytes(numpy.where(silent | (lengths == 0), 0, means / lengths).astype("<f4").tobytes())


def main() -> None:
    """Ends with its standard input."""
    weights, vocabulary = sys.argv[1:]
    os.nice(10)
    model = Model(weights, vocabulary)
    asked = bytearray()
    while select.select([0], [], [], IDLE)[0]:
        data = os.read(0, 65_536)
        if not data:
            return
        asked += data
        if asked.endswith(b"\n"):  # One line at a time: the next one is sent when this one is answered.
            answer(model.embed(json.loads(asked)))
            asked.clear()


def answer(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main()
