"""The code in docs/plugins.md is that of the examples, which ``test_examples`` installs, tries and serves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/plugins.md").read_text()
FILES = [path for path in (ROOT / "examples").rglob("*") if path.suffix in (".py", ".toml", ".md")]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def parts(kind: str, code: str) -> list[str]:
    """What has to stand together: all of a module's code, the tables of a TOML file and the commands each for itself."""
    return {"toml": code.split("\n\n"), "sh": code.splitlines()}.get(kind, [code])


@pytest.mark.parametrize(("kind", "code"), BLOCKS, ids=[f"{at}-{kind}" for at, (kind, _) in enumerate(BLOCKS)])
def test_each_block_is_the_example_s(kind: str, code: str) -> None:
    texts = [path.read_text() for path in FILES]
    for part in parts(kind, code):
        assert part == "trialogue plugins" or any(part.strip() in text for text in texts), part


def test_every_file_of_the_example_is_there() -> None:
    named = re.findall(r"\b(\w+\.(?:py|toml))\b", PAGE.partition("## A project")[2].partition("The entry point")[0])
    assert {path.name for path in FILES} >= set(named)
    assert len(named) > 8


def test_what_it_says_of_the_provider_s_length() -> None:
    lines = len((ROOT / "examples/wordmill/src/trialogue_wordmill/provider.py").read_text().splitlines())
    assert f"the {lines} lines of" in PAGE
