"""The scripted provider plays what it was told, in Trio's time, and counts what is open."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trialogue import FinishPiece, Piece, ProviderError, ReasoningPiece, Request, TextPiece, Usage, UsagePiece
from trialogue.testing import OPENED, Fail, Pause, ScriptedProvider

REQUEST = Request("script", ())


async def batches_of(provider: ScriptedProvider, request: Request = REQUEST) -> list[tuple[Piece, ...]]:
    found = []
    async with provider.open_response(request) as stream:
        while batch := await stream.receive():
            found.append(tuple(batch))
        assert await stream.receive() == ()
    return found


async def test_a_script_is_played_batch_by_batch() -> None:
    usage = UsagePiece(Usage("reported", 1, 2))
    provider = ScriptedProvider(["a", ("b", ReasoningPiece("c")), FinishPiece("length"), usage])
    assert await batches_of(provider) == [
        (TextPiece("a"),),
        (TextPiece("b"), ReasoningPiece("c")),
        (FinishPiece("length"),),
        (usage,),
    ]


async def test_it_finishes_unless_told_otherwise() -> None:
    assert (await batches_of(ScriptedProvider(["a"])))[-1] == (FinishPiece("stop"),)


async def test_pauses_take_virtual_time(autojump_clock: trio.testing.MockClock) -> None:
    provider = ScriptedProvider([Pause(3), OPENED, Pause(4), "a"])
    started = trio.current_time()
    async with provider.open_response(REQUEST) as stream:
        assert trio.current_time() - started == 3
        await stream.receive()
        assert trio.current_time() - started == 7


async def test_an_event_holds_it_until_set() -> None:
    gate = trio.Event()
    provider = ScriptedProvider(["a", gate, "b"])
    async with provider.open_response(REQUEST) as stream, trio.open_nursery() as nursery:
        await stream.receive()
        nursery.start_soon(stream.receive)
        await trio.testing.wait_all_tasks_blocked()
        assert provider.batches == 1
        gate.set()
    assert provider.batches == 2


async def test_failures_have_their_kind_while_opening_and_later() -> None:
    provider = ScriptedProvider([Fail("throttled", retry_after=7), OPENED], ["a", Fail("malformed")])
    with pytest.raises(ProviderError, match="script") as refused:
        async with provider.open_response(REQUEST):
            raise AssertionError("it opened")
    assert (refused.value.kind, refused.value.retry_after) == ("throttled", 7)
    with pytest.raises(ProviderError) as failed:
        await batches_of(provider)
    assert failed.value.kind == "malformed"
    assert provider.open_streams == provider.abandoned == 0


async def test_forever_never_ends(autojump_clock: trio.testing.MockClock) -> None:
    provider = ScriptedProvider([OPENED, "a", Pause(1)], forever=True)
    with trio.move_on_after(100):
        await batches_of(provider)
    assert provider.batches in (100, 101)


async def test_requests_are_recorded_and_the_last_script_repeats() -> None:
    provider = ScriptedProvider(["a"]).then(lambda request: [request.model])
    first, second, third = [await batches_of(provider, Request(name, ())) for name in "xyz"]
    assert [batch[0] for batch in (first[0], second[0], third[0])] == [TextPiece("a"), TextPiece("y"), TextPiece("z")]
    assert [request.model for request in provider.requests] == ["x", "y", "z"]


async def test_open_streams_are_counted_and_cancellation_is_seen(autojump_clock: trio.testing.MockClock) -> None:
    provider = ScriptedProvider(["a", Pause(100)])
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(batches_of, provider)
        await trio.testing.wait_all_tasks_blocked()
        assert provider.open_streams == 3
        nursery.cancel_scope.cancel()
    assert (provider.open_streams, provider.most_open_streams, provider.abandoned) == (0, 3, 3)


@pytest.mark.parametrize("cut", range(12))
async def test_a_prefix_is_continued_exactly(cut: int, autojump_clock: trio.testing.MockClock) -> None:
    whole = "Hello world"
    provider = ScriptedProvider([ReasoningPiece("?"), "Hel", Pause(9), ("lo", " wor"), Fail("broken"), "ld"])
    provider.continues = True
    text = ""
    try:
        for batch in await batches_of(provider, Request("script", (), prefix=whole[:cut])):
            text += "".join(piece.text for piece in batch if isinstance(piece, TextPiece))
    except ProviderError:
        assert cut < 9
    else:
        assert whole[:cut] + text == whole


async def test_a_prefix_that_cannot_be_continued_is_refused() -> None:
    for continues in (True, False):
        provider = ScriptedProvider(["Hello"], continues=continues)
        with pytest.raises(ProviderError) as refused:
            await batches_of(provider, Request("script", (), prefix="Good"))
        assert refused.value.kind == "refused"
