"""Checks for providers of models that can more than answer: subclass those of what yours can, in ``ProviderKit``'s place.

    class TestMine(ToolCallKit, CitationKit):
        open_case = ...          # as for ProviderKit; it is asked for these situations too

calls           the request offers tools, and the answer calls two of them, the second without arguments
garbled_calls   what comes are pieces of calls that cannot be put together
structured      the request wants JSON of a schema, and gets it
cited           the request holds documents, and the answer says what it takes from which
kept            as ``answer``, and the upstream keeps the response
"""

from __future__ import annotations

import msgspec
import pytest

from trialogue._asking.provider import (
    CitationPiece,
    FinishPiece,
    HandlePiece,
    Piece,
    TextPiece,
    ToolCallPiece,
)
from trialogue._facts.errors import ProviderError
from trialogue.testing.provider_kit import Case, Clock, ProviderKit, check_order, drain, text_of_pieces


class ToolCallKit(ProviderKit):
    """For models whose capabilities hold ``tools``."""

    async def test_calls_are_whole_and_what_the_answer_ends_with(self, kit_clock: Clock) -> None:
        async with self._case("calls") as case:
            pieces = await self._answer(case)
            calls = [piece for piece in pieces if isinstance(piece, ToolCallPiece)]
            assert len(calls) == 2
            assert {call.name for call in calls} <= {tool.name for tool in case.request.tools}
            assert isinstance(msgspec.json.decode(calls[0].arguments), dict)
            assert not msgspec.json.decode(calls[1].arguments or "{}")
            assert FinishPiece("tool_call") in pieces
            await case.wait_idle()

    async def test_calls_that_cannot_be_put_together_are_malformed(self, kit_clock: Clock) -> None:
        async with self._case("garbled_calls") as case:
            pieces: list[Piece] = []
            with pytest.raises(ProviderError) as caught:
                await self._collect(case, pieces)
            assert caught.value.kind == "malformed"
            assert not any(isinstance(piece, (ToolCallPiece, FinishPiece)) for piece in pieces)
            await self._let_go(case)


class StructuredKit(ProviderKit):
    """For models whose capabilities hold ``structured_output``."""

    async def test_an_answer_has_the_shape_that_is_wanted(self, kit_clock: Clock) -> None:
        async with self._case("structured") as case:
            wanted = case.request.answer_schema
            assert wanted is not None, "the case's request must want one"
            answer = msgspec.json.decode(text_of_pieces(await self._answer(case)), type=dict[str, object])
            assert set(wanted.schema.get("required", ())) <= set(answer)


class CitationKit(ProviderKit):
    """For models whose capabilities hold ``citations``."""

    async def test_what_is_taken_from_somewhere_says_so(self, kit_clock: Clock) -> None:
        async with self._case("cited") as case:
            pieces = await self._answer(case)
            citations = [place for place, piece in enumerate(pieces) if isinstance(piece, CitationPiece)]
            assert citations
            assert any(isinstance(piece, TextPiece) for piece in pieces[: citations[0]])
            sources = {piece.source for piece in pieces if isinstance(piece, CitationPiece)}
            assert sources <= {f"file:{file}" for file in case.request.documents}


class KeptKit(ProviderKit):
    """For providers with ``reopen``."""

    async def test_a_response_goes_on_from_behind_any_handle(self, kit_clock: Clock) -> None:
        async with self._case("kept") as case:
            pieces = await self._answer(case)
            handles = [place for place, piece in enumerate(pieces) if isinstance(piece, HandlePiece)]
            assert handles
            for place in {handles[0], handles[len(handles) // 2], handles[-1]}:
                rest = await self._rest(case, pieces[place])
                assert text_of_pieces([*pieces[:place], *rest]) == text_of_pieces(pieces)

    async def test_leaving_a_response_does_not_give_it_up(self, kit_clock: Clock) -> None:
        async with self._case("kept") as case:
            pieces: list[Piece] = []
            async with case.provider.open_response(case.request) as stream:
                while not any(isinstance(piece, HandlePiece) for piece in pieces):
                    pieces += await stream.receive()
            handle = next(piece for piece in reversed(pieces) if isinstance(piece, HandlePiece))
            assert await self._rest(case, handle)
            await case.provider.discard(case.request.model, handle.handle)
            await self._let_go(case)

    async def test_what_is_not_kept_is_refused(self, kit_clock: Clock) -> None:
        async with self._case("kept") as case:
            with pytest.raises(ProviderError) as caught:
                async with case.provider.reopen(case.request.model, "nothing of the kind", 0):
                    raise AssertionError("it was there")
            assert caught.value.kind == "refused"
            await self._let_go(case)

    async def _rest(self, case: Case, handle: Piece) -> list[Piece]:
        assert isinstance(handle, HandlePiece)
        async with case.provider.reopen(case.request.model, handle.handle, handle.cursor) as stream:
            pieces = await drain(stream)
        check_order(pieces)
        return pieces
