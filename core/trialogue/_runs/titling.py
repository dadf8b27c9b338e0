"""Titles: after the first answer a model may be asked for a better one than the first line of what was said.

How it is asked, and what becomes of it when it fails, is the business of ``asides``; then the first line stays. A title that
a person has set is never replaced (``GiveTitle``).
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from trialogue._asking.provider import Request
from trialogue._deciding.commands import GiveTitle
from trialogue._deciding.saying import first_line, titled_by
from trialogue._facts.values import Conversation, Message, Settings, Terms, TextPart, text_of
from trialogue._runs.asides import SAME, Asides, Asked
from trialogue._watching.observer import RunReport

#: Seconds that a title may take.
PATIENCE = 30.0
#: Code points of each message that are shown, and of the response that are read.
SHOWN, HEARD = 1_500, 400
#: Tokens that a response may have: enough for a model that cannot but think first.
MOST_TOKENS = 256

INSTRUCTION = (
    "Write a title for the conversation that you are shown: at most six words, in its language, as it would stand in a "
    "list. Write the title alone, without quotation marks. Do not answer what is asked in it."
)


class Titles(Asides):
    """The service of one node."""

    what = "title"

    def concerns(self, report: RunReport) -> bool:
        return True

    async def attend(self, report: RunReport) -> None:
        node, header = self._node, await self._header(report.conversation)
        if header is None or header.deleted_at is not None:
            return
        said = await node.store.path(report.conversation, report.message, 3)
        if not _may_be_titled(header, said):
            return
        model = node.catalog.describe(report.model if node.limits.titles == SAME else node.limits.titles)
        terms = await self.terms(header, report.run, model)
        asked = Asked(node, header, model, lambda name: _request(name, said), PATIENCE, HEARD)
        await self.ask(asked, lambda: self._command(header, asked, terms))

    def _command(self, header: Conversation, asked: Asked, terms: Terms) -> GiveTitle:
        """What comes of it: the title, if there is one, and what it cost."""
        new_id = self._node.new_id
        title = clean_title(asked.text) if asked.whole else None
        return GiveTitle(new_id(), self._node.now(), header.title, title, asked.account(new_id(), terms))


def clean_title(text: str) -> str | None:
    """The title in what a model wrote; ``None`` when there is none."""
    lines = (" ".join("".join(one if one.isprintable() else " " for one in line).split()) for line in text.splitlines())
    line = next((line for line in lines if line.strip("#*_`\"'- ")), "")
    line = line.removeprefix("Title:").strip("#*_`\"'„“”«» ").rstrip(".")
    return first_line(line) or None


def _may_be_titled(header: Conversation, said: Sequence[Message]) -> bool:
    """Whether it was its first answer, and its title is still the one that was taken from the question."""
    return len(said) == 2 and said[0].parent is None and header.title is not None and header.title == titled_by(said[0])


def _request(name: str, said: Sequence[Message]) -> Request:
    shown = "\n\n".join(f"{message.role}: {text_of(message.parts)[:SHOWN]}" for message in said)
    question = replace(said[0], parts=(TextPart(shown),))
    return Request(
        name, (question,), Settings(max_tokens=MOST_TOKENS), INSTRUCTION, tool_choice="none", purpose="title"
    )
