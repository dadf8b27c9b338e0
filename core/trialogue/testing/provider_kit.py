"""The conformance kit for providers: checks that any provider's author runs against theirs, with pytest and pytest-trio.

Subclass ``ProviderKit`` in a test module and say how a provider is opened for a ``Situation``; the kit brings the tests:

    class TestMine(ProviderKit):
        @asynccontextmanager
        async def open_case(self, situation):
            async with my_fake_upstream(situation) as upstream, aclosing(MyProvider(upstream.url)) as provider:
                yield Case(provider, Request("model", (a_message,)), wait_idle=upstream.wait_idle)

A situation that cannot arise with a provider is named in ``not_applicable`` with the reason, which the skipped test shows.
Checks of what only some models can stand in ``capability_kits``.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar, Literal, TypeAlias

import msgspec
import pytest
import trio
import trio.testing

from trialogue._asking.provider import (
    FinishPiece,
    Piece,
    Provider,
    ReasoningPiece,
    Request,
    ResponseStream,
    TextPiece,
    ToolCallPiece,
    UsagePiece,
)
from trialogue._facts.errors import ProviderError

#: What the upstream does. ``answer``: a complete answer of at least three tokens. ``endless``: tokens for ever.
#: ``prefix`` is never opened: it stands for going on from one, which some model must be able to unless it is named as not
#: applicable. ``deaf``: takes the request and says nothing. ``stalled``, ``truncated``, ``malformed``: some tokens, then
#: silence, an end without a finish, something unreadable. ``refused``, ``throttled``, ``unavailable``: the request is turned
#: down. The last five are those of ``capability_kits``, and explained there.
Situation: TypeAlias = Literal[
    "answer",
    "prefix",
    "endless",
    "deaf",
    "stalled",
    "truncated",
    "malformed",
    "refused",
    "throttled",
    "unavailable",
    "calls",
    "garbled_calls",
    "structured",
    "cited",
    "kept",
]
#: What the tests that are not parametrized with a situation need besides an answer.
_NEEDED: dict[str, Situation] = {
    "test_a_prefix_is_continued": "prefix",
    "test_cancelled_while_opening_lets_go": "deaf",
    "test_leaving_early_lets_go": "endless",
    "test_nothing_leaks": "endless",
}

#: What the tests' time runs on: Trio's own clock, or a virtual one.
Clock: TypeAlias = trio.testing.MockClock | None


async def _idle() -> None:
    await trio.lowlevel.checkpoint()


async def _busy() -> None:
    await trio.testing.wait_all_tasks_blocked()


class Case(msgspec.Struct, frozen=True):
    """A provider in a situation, and what to ask it."""

    provider: Provider
    request: Request
    #: Returns when the upstream sees no request of ours in progress any more: sockets closed, children stopped working.
    wait_idle: Callable[[], Awaitable[None]] = _idle
    #: Returns when the upstream has a request of ours in progress.
    wait_busy: Callable[[], Awaitable[None]] = _busy


class ProviderKit:
    """Subclass it and give ``open_case``; each method that begins with ``test_`` states one promise of the port."""

    #: Situations that cannot arise with this provider, and why.
    not_applicable: ClassVar[dict[Situation, str]] = {}
    #: Whether the same request is answered with the same text, so that answers can be compared.
    repeatable: ClassVar[bool] = True
    #: Whether what follows a prefix is to the letter what would have followed it. A model that reads the prefix anew may cut
    #: it into other tokens, and go on with other words.
    exact: ClassVar[bool] = True
    #: How often the leak check opens a response.
    runs: ClassVar[int] = 100
    #: Responses that are open at the same time in the concurrency check.
    concurrent: ClassVar[int] = 10
    #: Within this many seconds of a cancellation the upstream has been let go. Longer only where what is watched is not the
    #: socket but how soon a computation of our own notices.
    let_go: ClassVar[float] = 0.25
    #: Seconds after which a check that hangs fails; the leak check may take ``runs`` times as long.
    patience: ClassVar[float] = 30

    @pytest.fixture
    def kit_clock(self) -> Clock:
        """Real time; override it with an autojumping ``MockClock`` where no real I/O takes part."""
        return None

    @pytest.fixture(autouse=True)
    def _applicable(self, request: pytest.FixtureRequest) -> None:
        # Before Trio runs: pytest-trio forgets the reason of a test that is skipped out of a nursery.
        name = getattr(request.node, "originalname", "")
        situation = getattr(request.node, "callspec", None) and request.node.callspec.params.get("situation")
        reason = self.not_applicable.get(situation or _NEEDED.get(name, "answer"))
        if reason is not None:
            pytest.skip(reason)

    def open_case(self, situation: Situation) -> AbstractAsyncContextManager[Case]:
        """A provider whose upstream behaves as ``situation`` says; leaving the block closes the provider."""
        raise NotImplementedError(f"{type(self).__name__} must say how to open {situation!r}")

    async def test_models_are_named_after_their_provider(self, kit_clock: Clock) -> None:
        async with self._case("answer") as case:
            provider = case.provider
            assert re.fullmatch(r"[a-z0-9-]+", provider.name)
            models = await provider.models()
            for model in models:
                assert model.id.startswith(f"{provider.name}:")
                assert model.provider == provider.name
                assert model.context_tokens > 0
            named = f"{provider.name}:{case.request.model}"
            assert provider.accepts(case.request.model) or named in {model.id for model in models}

    async def test_an_answer_is_in_order_and_ends(self, kit_clock: Clock) -> None:
        async with self._case("answer") as case, case.provider.open_response(case.request) as stream:
            pieces = await drain(stream)
            check_order(pieces)
            assert len([piece for piece in pieces if isinstance(piece, TextPiece)]) >= 3
            for _ in range(3):
                assert not await stream.receive(), "a response that is over stays over"

    async def test_usage_adds_up(self, kit_clock: Clock) -> None:
        async with self._case("answer") as case, case.provider.open_response(case.request) as stream:
            for piece in await drain(stream):
                if isinstance(piece, UsagePiece):
                    usage = piece.usage
                    assert (usage.cache_read_tokens or 0) <= (usage.input_tokens or 0)
                    assert (usage.reasoning_tokens or 0) <= (usage.output_tokens or 0)

    async def test_a_slow_reader_loses_nothing(self, kit_clock: Clock) -> None:
        async with self._case("answer") as case:
            fast = await self._answer(case)
            async with case.provider.open_response(case.request) as stream:
                slow: list[Piece] = []
                while batch := await stream.receive():
                    slow.extend(batch)
                    await trio.sleep(0.01)  # the reader's own pace
            check_order(slow)
            assert not self.repeatable or text_of_pieces(slow) == text_of_pieces(fast)

    async def test_responses_do_not_disturb_each_other(self, kit_clock: Clock) -> None:
        answers: list[str] = []

        async def ask(case: Case) -> None:
            answers.append(text_of_pieces(await self._answer(case)))

        async with self._case("answer") as case:
            async with trio.open_nursery() as nursery:
                for _ in range(self.concurrent):
                    nursery.start_soon(ask, case)
            await case.wait_idle()
        assert len(answers) == self.concurrent
        assert all(answers)
        assert not self.repeatable or len(set(answers)) == 1

    async def test_a_prefix_is_continued(self, kit_clock: Clock) -> None:
        async with self._case("answer") as case:
            capabilities = [model.capabilities for model in await case.provider.models()]
            assert any("continues" in named for named in capabilities), (
                "no model goes on from a prefix: not_applicable?"
            )
            whole = text_of_pieces(await self._answer(case))
            for cut in {1, len(whole) // 2, len(whole) - 1}:
                request = msgspec.structs.replace(case.request, prefix=whole[:cut])
                rest = text_of_pieces(await self._answer(case, request))
                assert rest
                assert not self.exact or whole[:cut] + rest == whole

    async def test_cancelled_while_opening_lets_go(self, kit_clock: Clock) -> None:
        async with self._case("deaf") as case:

            async def ask() -> None:
                async with case.provider.open_response(case.request) as stream:
                    await stream.receive()

            await self._cancelled(case, ask, case.wait_busy)

    @pytest.mark.parametrize("situation", ["endless", "stalled"])
    async def test_cancelled_while_receiving_lets_go(self, kit_clock: Clock, situation: Situation) -> None:
        async with self._case(situation) as case:
            received = trio.Event()

            async def ask() -> None:
                async with case.provider.open_response(case.request) as stream:
                    while await stream.receive():
                        received.set()

            await self._cancelled(case, ask, received.wait)

    async def test_leaving_early_lets_go(self, kit_clock: Clock) -> None:
        async with self._case("endless") as case:
            async with case.provider.open_response(case.request) as stream:
                assert await stream.receive()
            await self._let_go(case)
            with pytest.raises(ZeroDivisionError):
                await self._stumble(case)
            await self._let_go(case)

    @pytest.mark.parametrize("situation", ["refused", "throttled", "unavailable"])
    async def test_a_request_that_is_turned_down_says_why(self, kit_clock: Clock, situation: Situation) -> None:
        async with self._case(situation) as case:
            with pytest.raises(ProviderError) as caught:
                async with case.provider.open_response(case.request):
                    raise AssertionError("it was opened")
            assert caught.value.kind == situation
            await self._let_go(case)

    @pytest.mark.parametrize(("situation", "kind"), [("truncated", "broken"), ("malformed", "malformed")])
    async def test_a_response_that_breaks_says_how(self, kit_clock: Clock, situation: Situation, kind: str) -> None:
        async with self._case(situation) as case:
            pieces: list[Piece] = []
            with pytest.raises(ProviderError) as caught:
                await self._collect(case, pieces)
            assert caught.value.kind == kind
            assert text_of_pieces(pieces), "what was read before the failure is handed out"
            assert not any(isinstance(piece, FinishPiece) for piece in pieces), "a stream that failed has not finished"
            await self._let_go(case)

    async def test_nothing_leaks(self, kit_clock: Clock) -> None:
        patience = self.patience * self.runs
        async with self._case("answer", patience) as whole, self._case("endless", patience) as endless:
            for _ in range(3):
                await self._use(whole, endless)
            before = _resources()
            for _ in range(self.runs):
                await self._use(whole, endless)
            after = _resources()
        assert all(now <= then + 2 for then, now in zip(before, after, strict=True)), f"{before} -> {after}"

    async def _stumble(self, case: Case) -> None:
        async with case.provider.open_response(case.request) as stream:
            await stream.receive()
            raise ZeroDivisionError

    async def _collect(self, case: Case, pieces: list[Piece]) -> None:
        async with case.provider.open_response(case.request) as stream:
            while batch := await stream.receive():
                pieces.extend(batch)

    async def _use(self, whole: Case, endless: Case) -> None:
        """A whole answer, one that is left early, and one that is cancelled."""
        await self._answer(whole)
        async with endless.provider.open_response(endless.request) as stream:
            await stream.receive()
        with trio.CancelScope() as scope:
            async with endless.provider.open_response(endless.request) as stream:
                await stream.receive()
                scope.cancel()
                await stream.receive()
        await self._let_go(endless)

    @asynccontextmanager
    async def _case(self, situation: Situation, patience: float | None = None) -> AsyncGenerator[Case]:
        with trio.fail_after(patience or self.patience):
            async with self.open_case(situation) as case:
                yield case

    async def _answer(self, case: Case, request: Request | None = None) -> list[Piece]:
        async with case.provider.open_response(request or case.request) as stream:
            pieces = await drain(stream)
        check_order(pieces)
        return pieces

    async def _cancelled(
        self, case: Case, ask: Callable[[], Awaitable[None]], until: Callable[[], Awaitable[None]]
    ) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await until()
            nursery.cancel_scope.cancel()
        await self._let_go(case)

    async def _let_go(self, case: Case) -> None:
        with trio.fail_after(self.let_go):
            await case.wait_idle()


async def drain(stream: ResponseStream) -> list[Piece]:
    """All the pieces of a response, to its end."""
    pieces: list[Piece] = []
    while batch := await stream.receive():
        pieces.extend(batch)
    return pieces


def check_order(pieces: Sequence[Piece]) -> None:
    """Exactly one finish, and nothing but usage behind it; no empty text."""
    finishes = [at for at, piece in enumerate(pieces) if isinstance(piece, FinishPiece)]
    assert len(finishes) == 1, f"{len(finishes)} finishes"
    assert all(isinstance(piece, UsagePiece) for piece in pieces[finishes[0] + 1 :])
    assert all(piece.text for piece in pieces if isinstance(piece, TextPiece))
    assert all(piece.text or piece.signature for piece in pieces if isinstance(piece, ReasoningPiece))
    assert all(piece.name for piece in pieces if isinstance(piece, ToolCallPiece))


def text_of_pieces(pieces: Sequence[Piece]) -> str:
    """The text of the answer."""
    return "".join(piece.text for piece in pieces if isinstance(piece, TextPiece))


def _resources() -> tuple[int, int]:
    """Open file descriptors and living tasks of this process; a file that only garbage holds counts as a leak."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    found = len(os.listdir("/proc/self/fd"))
    gc.collect()
    return found, tasks
