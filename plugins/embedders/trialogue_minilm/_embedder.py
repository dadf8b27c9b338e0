"""The embedder: the parent's side of the child process, which it starts, asks, and starts anew with growing pauses.

The child lives as long as its standard input is open, so that nothing that happens to the server, not even SIGKILL, leaves
it behind. Texts are sent a few at a time, whoever asks for many: so a search waits for some hundredths of a second at most.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import trio

from trialogue import Embedder, EmbedderError

_WORKER = Path(__file__).with_name("_worker.py")
DIMENSIONS = 384
#: Texts sent at once.
_FEW = 2
#: Longest time for some texts, in seconds; the first ones come while the model is being loaded.
_PATIENCE = 30.0
#: How long who gives up waits for the answer that is under way.
_SETTLING = 2.0
#: The pause after the first death in a row, which doubles with each further one, and its bound.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0


class MiniLMEmbedder(Embedder):
    """The model in ``weights``; nothing runs until it is asked something."""

    name = "all-MiniLM-L6-v2"
    dimensions = DIMENSIONS
    #: About the 256 tokens that the model reads.
    passage = 1_000
    #: Of twenty questions and texts, 98 in 100 pairs that do not belong together lie below, and all that do above.
    floor = 0.2

    def __init__(self, weights: Path, vocabulary: Path) -> None:
        self._arguments = [str(weights), str(vocabulary)]
        self._process: trio.Process | None = None
        #: One request at a time; those that wait take turns.
        self._turn = trio.Lock()
        self._deaths = 0
        self._not_before = float("-inf")

    def __repr__(self) -> str:
        return f"<MiniLMEmbedder pid={self.pid} deaths={self._deaths}>"

    @property
    def pid(self) -> int | None:
        """The child's id, while there is one."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        """See ``Embedder``."""
        vectors: list[bytes] = []
        for start in range(0, len(texts), _FEW):
            vectors += await self._ask(texts[start : start + _FEW])
        await trio.lowlevel.checkpoint_if_cancelled()
        return vectors

    async def aclose(self) -> None:
        """End the child, whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                process.kill()
                await process.wait()
                await _close(process)

    async def _ask(self, texts: Sequence[str]) -> list[bytes]:
        async with self._turn:
            exchange = _Exchange(await self._alive(), [text[: 2 * self.passage] for text in texts])
            try:
                with trio.move_on_after(_PATIENCE):
                    await exchange.finish()
            except trio.Cancelled:
                # The answer to what was asked is taken all the same, or the next one who asks would get it.
                with trio.CancelScope(shield=True, deadline=trio.current_time() + _SETTLING):
                    await exchange.finish()
                if not exchange.done:
                    await self._bury()
                raise
            if exchange.done:
                self._deaths = 0
                return exchange.vectors()
            await self._bury()
            raise EmbedderError("the embedder's process died or hung over a text", by_text=True)

    async def _alive(self) -> trio.Process:
        if self._process is not None and self._process.poll() is None:
            return self._process
        await self.aclose()  # It had nothing to do, and ended.
        if (wait := self._not_before - trio.current_time()) > 0:
            raise EmbedderError(
                f"the embedder's process died {self._deaths} times in a row and is started again in {wait:.1f} s",
                retry_after=wait,
            )
        self._process = await trio.lowlevel.open_process(
            [sys.executable, "-P", str(_WORKER), *self._arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        return self._process

    async def _bury(self) -> None:
        self._deaths += 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (self._deaths - 1))
        self._not_before = trio.current_time() + pause
        await self.aclose()


class _Exchange:
    """Some texts sent, and as much of the answer as has come."""

    def __init__(self, process: trio.Process, texts: Sequence[str]) -> None:
        self._process = process
        self._line = json.dumps(texts).encode() + b"\n"
        self._size = DIMENSIONS * 4
        self._wanted = self._size * len(texts)
        self._data = b""

    @property
    def done(self) -> bool:
        return len(self._data) == self._wanted

    async def finish(self) -> None:
        """Go on until it is done, or the child is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            if self._line:
                # So short that a pipe takes it whole, and a cancellation finds it sent or not sent.
                await self._process.stdin.send_all(self._line)
                self._line = b""
            while not self.done:
                more = await self._process.stdout.receive_some()
                if not more:
                    return
                self._data += more
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    def vectors(self) -> list[bytes]:
        return [self._data[start : start + self._size] for start in range(0, len(self._data), self._size)]


async def _close(process: trio.Process) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            await stream.aclose()
