"""The conformance kit for embedders, with pytest and pytest-trio.

class TestWordmill(EmbedderKit):
    near, far = ("How do I bake bread?", "a recipe for loaves"), "When does the train leave?"

    @asynccontextmanager
    async def open_embedder(self):
        async with aclosing(Wordmill()) as embedder:
            yield embedder
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

import trio

from trialogue._search.embedder import Embedder

#: What people write, and what comes out of files.
_ODD = ("🦉" * 500, "\ud800", "\x00\n\r\u2028", "夜になると梟が", "a" * 20_000, " ", "\u202eowl", "{}[]<|endoftext|>")


class EmbedderKit:
    """Subclass it and give ``open_embedder``; each method that begins with ``test_`` states one promise of the port."""

    #: Two texts that mean nearly the same, and one that has nothing to do with them; in words that the model knows.
    near: ClassVar[tuple[str, str]]
    far: ClassVar[str]
    #: Seconds for which the loop may be held up: the work is done elsewhere.
    held_up: ClassVar[float] = 0.1
    #: Seconds in which a call that was given up is over.
    let_go: ClassVar[float] = 2.0
    #: Seconds after which a check that hangs fails; the first call may load a model.
    patience: ClassVar[float] = 60

    def open_embedder(self) -> AbstractAsyncContextManager[Embedder]:
        """The embedder; leaving the block closes it."""
        raise NotImplementedError(f"{type(self).__name__} must say how its embedder is opened")

    async def test_it_says_what_its_vectors_are(self) -> None:
        async with self.open_embedder() as embedder:
            assert embedder.name
            assert embedder.dimensions > 0
            assert embedder.passage > 0
            assert -1 <= embedder.floor < 1

    async def test_a_vector_for_each_text_of_length_one(self) -> None:
        async with self.open_embedder() as embedder:
            vectors = await self._embedded(embedder, [*self.near, self.far])
            assert all(math.isclose(_cosine(one, one), 1, abs_tol=1e-2) for one in vectors)
            assert await self._embedded(embedder, []) == []

    async def test_what_means_the_same_is_nearer(self) -> None:
        async with self.open_embedder() as embedder:
            one, other, far = await self._embedded(embedder, [*self.near, self.far])
            assert _cosine(one, other) > max(_cosine(one, far), embedder.floor)

    async def test_a_text_has_one_vector_whatever_it_comes_with(self) -> None:
        async with self.open_embedder() as embedder:
            (alone,) = await self._embedded(embedder, [self.far])
            among = (await self._embedded(embedder, [*self.near, self.far, "x " * 300]))[2]
            assert math.isclose(_cosine(alone, among), 1, abs_tol=1e-2), "in order, and each for itself"

    async def test_what_says_nothing_is_nothing(self) -> None:
        async with self.open_embedder() as embedder:
            for vector in await self._embedded(embedder, ["", " \n\t"]):
                assert not any(_numbers(vector)), "a vector of zeros"

    async def test_any_text_is_accepted(self) -> None:
        async with self.open_embedder() as embedder:
            for vector in await self._embedded(embedder, _ODD):
                assert all(math.isfinite(number) for number in _numbers(vector))

    async def test_the_loop_goes_on_meanwhile(self) -> None:
        async with self.open_embedder() as embedder:
            await self._embedded(embedder, [self.far])
            worst = 0.0

            async def beat() -> None:
                nonlocal worst
                while True:
                    before = trio.current_time()
                    await trio.sleep(0.005)
                    worst = max(worst, trio.current_time() - before)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(beat)
                await trio.sleep(0.02)
                await self._embedded(embedder, [f"{text} {n}" for n in range(8) for text in (*self.near, self.far)])
                await trio.sleep(0.02)  # for the last beat to be late, if it is
                nursery.cancel_scope.cancel()
            assert worst <= self.held_up, f"the loop stood still for {worst:.2f} s"

    async def test_calls_side_by_side_get_their_own(self) -> None:
        async with self.open_embedder() as embedder:
            expected = {text: (await self._embedded(embedder, [text]))[0] for text in (*self.near, self.far)}

            async def ask(text: str) -> None:
                (vector,) = await self._embedded(embedder, [text])
                assert math.isclose(_cosine(vector, expected[text]), 1, abs_tol=1e-2)

            async with trio.open_nursery() as nursery:
                for text in [*expected] * 4:
                    nursery.start_soon(ask, text)

    async def test_who_gives_up_disturbs_nobody(self) -> None:
        async with self.open_embedder() as embedder:
            (expected,) = await self._embedded(embedder, [self.far])
            for wait in (0, 0.005, 0.05):
                began = trio.current_time()
                with trio.move_on_after(wait):
                    await embedder.embed([f"{self.far} {n}" * 20 for n in range(20)])
                assert trio.current_time() - began <= wait + self.let_go
                (vector,) = await self._embedded(embedder, [self.far])
                assert math.isclose(_cosine(vector, expected), 1, abs_tol=1e-2)

    async def _embedded(self, embedder: Embedder, texts: Sequence[str]) -> list[bytes]:
        with trio.fail_after(self.patience):
            vectors = await embedder.embed(texts)
        assert [len(vector) for vector in vectors] == [embedder.dimensions * 4] * len(texts), "float32, one for each"
        return list(vectors)


def _numbers(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def _cosine(one: bytes, other: bytes) -> float:
    return sum(x * y for x, y in zip(_numbers(one), _numbers(other), strict=True))
