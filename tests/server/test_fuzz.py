"""A short run of what `make fuzz` does at length: requests made out of the document, the same ones each time."""

from __future__ import annotations

import fuzzing


def test_no_answer_contradicts_the_document() -> None:
    """Each has a status, headers and a body that are described; what is not described is refused, and nothing breaks."""
    assert fuzzing.main(["--max-examples=3", "--generation-deterministic", "--phases=examples,fuzzing,stateful"]) == 0
