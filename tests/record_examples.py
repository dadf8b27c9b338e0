"""Write the answers of the API's examples anew, as a server gives them: ``python tests/record_examples.py [STORY...]``.

The requests in ``server/trialogue_server/examples`` are written by hand; what is answered to them is not.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import trio
from rest import serve
from stories import at, carry_out

import trialogue_server
from trialogue_clock import current_time
from trialogue_echo import EchoProvider
from trialogue_server._openapi.examples import Example, stories

FOLDER = Path(trialogue_server.__file__).parent / "examples"
#: A longer answer says nothing more to a reader.
LONGEST = 6_000


async def main(wanted: Sequence[str]) -> None:
    """Carry out the stories that are wanted, or every one, and write down what is answered."""
    for story in wanted or stories():
        examples = stories()[story]
        with tempfile.TemporaryDirectory() as folder:
            blocks = await told(examples, Path(folder))
        (FOLDER / f"{story}.http").write_text("\n".join(blocks))


async def told(examples: Sequence[Example], folder: Path) -> list[str]:
    """The examples of a story, each with the answer to it."""
    blocks: list[str] = []
    kept: dict[str, str] = {}
    async with (
        serve(files=folder, others=[EchoProvider()], tools=[current_time]) as server,
        server.user("ada") as client,
    ):
        for example in examples:
            if not example.target.endswith("/stop"):  # what is to be stopped has to be at work
                await server.quiet()
            answer = await carry_out(client, example, kept)
            assert answer.status_code == example.status, f"{example.title}: {answer.text}"
            is_json = answer.headers["content-type"] == "application/json" and 0 < len(answer.content) < LONGEST
            blocks.append(written(example, [answer.content] if is_json else []))
            kept |= {name: str(at(answer.json(), pointer)) for name, pointer in example.keeps.items()}
    return blocks


def written(example: Example, answers: Sequence[bytes]) -> str:
    """The example as it stands in its file."""
    keeps = "".join(f" {name}={pointer}" for name, pointer in example.keeps.items())
    lines = [f"# {example.title}", f"{example.method} {example.target}"]
    lines += [f"{name}: {value}" for name, value in example.headers.items()]
    if example.body is not None:
        lines.append(
            re.sub(r"\s*\n\s*", " ", msgspec.json.format(msgspec.json.encode(example.body), indent=0).decode())
        )
    lines.append(f"{example.status}{keeps}")
    lines += [msgspec.json.format(answer, indent=2).decode() for answer in answers]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])
