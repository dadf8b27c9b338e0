"""What echo says, as tokens: the echo of a prompt, and texts of any length that are the same every time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count, islice

from trialogue_echo._directives import Directives

_TOKEN = re.compile(r"\s*\S+|\s+\Z")

_TALK = """A long answer arrives word by word, and whoever reads it may leave, come back, or look over from another
screen. Nothing of it is lost, because every word is written down before it is shown. When the reader returns the text
goes on exactly where it was, neither twice nor with a hole in it."""
_WORDS = _TALK.split()
#: A paragraph ends after so many tokens of the text without end.
_PARAGRAPH = 2 * len(_WORDS)

#: Words of a title.
_TITLE = 6

_ECHO = """You said:

{quote}

I am **echo**, the model that is always there. I think nothing of my own, but I stream as any other does: you may

- stop me, and ask me to go on,
- reload the page, or look from another device,
- steer me: `[[tokens=500 rate=20]]` makes me talk for a while, `[[fail=30]]` makes me break off.
"""


def tokens_of(text: str) -> list[str]:
    """``text`` in pieces of one word with the blanks before it; joined they are the text again."""
    return _TOKEN.findall(text)


def answer(directives: Directives, prompt: str) -> Iterator[str]:
    """The tokens of the answer to ``prompt``, without end when the directives ask for that."""
    if directives.endless:
        return _talk(directives.numbered)
    if directives.tokens is not None:
        return islice(_talk(directives.numbered), directives.tokens)
    return iter(tokens_of(_ECHO.format(quote=_quoted(prompt or "nothing")).strip()))


def title(shown: str) -> Iterator[str]:
    """The tokens of a title: the first words of what was said first."""
    return iter(tokens_of(" ".join(shown.removeprefix("user:").split()[:_TITLE])))


def summary(shown: str) -> Iterator[str]:
    """The tokens of a summary: the first words of each line that was said."""
    lines = (" ".join(line.split()[:_TITLE]) for line in shown.splitlines() if not line.startswith("<"))
    return iter(tokens_of("\n".join(line for line in lines if line)))


def report(results: Sequence[str]) -> Iterator[str]:
    """The tokens of what is said once tools were called."""
    return iter(tokens_of("\n\n".join(["The tools said:", *map(_quoted, results)])))


def thought(tokens: int) -> Iterator[str]:
    """So many tokens of thinking aloud."""
    words = ["Let", " me", " see:", *(f" {i}," for i in range(1, tokens))]
    return iter(words[:tokens])


def _talk(numbered: bool) -> Iterator[str]:
    for i in count():
        if numbered:
            yield f"{i} "
        else:
            before = "" if i == 0 else " " if i % _PARAGRAPH else "\n\n"
            yield before + _WORDS[i % len(_WORDS)]


def _quoted(prompt: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in prompt.splitlines())
