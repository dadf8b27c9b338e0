"""Every example of the API's page is a request that works, and shows an answer as it really looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rest import serve
from stories import at, carry_out

from trialogue_clock import current_time
from trialogue_echo import EchoProvider
from trialogue_server._openapi.examples import stories


@pytest.mark.parametrize("story", stories())
async def test_every_example_is_answered_as_it_says(tmp_path: Path, story: str) -> None:
    kept: dict[str, str] = {}
    async with (
        serve(files=tmp_path, others=[EchoProvider()], tools=[current_time]) as server,
        server.user("ada") as ada,
    ):
        for example in stories()[story]:
            if not example.target.endswith("/stop"):  # what is to be stopped has to be at work
                await server.quiet()
            answer = await carry_out(ada, example, kept)
            assert answer.status_code == example.status, f"{example.title}: {answer.text}"
            if example.reply is not None:
                assert shape(answer.json(), example.reply) == [], example.title
            kept |= {name: str(at(answer.json(), pointer)) for name, pointer in example.keeps.items()}


def shape(answer: Any, shown: Any, where: str = "") -> list[str]:
    """Where the example shows other fields than there are, or another kind of value."""
    if isinstance(answer, dict) and isinstance(shown, dict):
        different = [f"{where}/{name}" for name in answer.keys() ^ shown.keys()]
        both = answer.keys() & shown.keys()
        return different + [bad for name in both for bad in shape(answer[name], shown[name], f"{where}/{name}")]
    if isinstance(answer, list) and isinstance(shown, list):
        return [bad for one, other in zip(answer, shown, strict=False) for bad in shape(one, other, f"{where}/0")]
    if answer is None or shown is None or type(answer) is type(shown):
        return []
    return [f"{where}: {answer!r} is shown as {shown!r}"]
