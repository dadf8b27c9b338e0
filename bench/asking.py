"""One way to ask the stub, as a process whose CPU time tells what a token costs on it: ``python -m bench.asking WAY ...``.

Ways: the providers ``openai`` (by Chat Completions), ``responses`` (the same by Responses) and ``anthropic`` as
the server uses them, and beside each its SDK, iterated event by event.
It prints microseconds of CPU per token. What the first answers cost (imports, connections) is not counted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import trio

from bench.plan import prompt
from trialogue import Message, Provider, Request, TextPart, TextPiece
from trialogue._actors.pacer import Pacer

#: Asks for an answer and reads it; returns its tokens.
Ask = Callable[[str], Awaitable[int]]


def provider_of(way: str, url: str) -> Provider:
    """The provider, as its plugin makes it."""
    if way == "openai":
        from trialogue_openai import OpenAIProvider

        return OpenAIProvider("sk", url)
    if way == "responses":
        from trialogue_openai import OpenAIProvider
        from trialogue_openai._profiles import Profile

        return OpenAIProvider(None, profile=Profile(key="sk", base_url=url, api="responses"))
    from trialogue_anthropic import AnthropicProvider

    return AnthropicProvider("sk", url.removesuffix("/v1"))


def ours(way: str, url: str, pacer: Pacer | None) -> Ask:
    """Batch by batch, and paced as a run paces itself."""
    provider = provider_of(way, url)

    async def ask(words: str) -> int:
        tokens = 0
        message = Message("m", "c", "user", (TextPart(words),), datetime.now(UTC))
        async with provider.open_response(Request("stub", (message,))) as stream:
            while batch := await stream.receive():
                tokens += sum(isinstance(piece, TextPiece) for piece in batch)
                if pacer is not None:
                    await pacer.wait()
        return tokens

    return ask


def openai_sdk(url: str) -> Ask:
    """Event by event, as the SDK gives them."""
    import openai

    sdk = openai.AsyncOpenAI(api_key="sk", base_url=url)

    async def ask(words: str) -> int:
        stream = await sdk.chat.completions.create(
            model="stub", messages=[{"role": "user", "content": words}], stream=True
        )
        async with stream:
            return len([0 async for event in stream if event.choices and event.choices[0].delta.content])

    return ask


def responses_sdk(url: str) -> Ask:
    """Event by event, as the SDK gives them."""
    import openai

    sdk = openai.AsyncOpenAI(api_key="sk", base_url=url)

    async def ask(words: str) -> int:
        stream = await sdk.responses.create(model="stub", input=words, stream=True)
        async with stream:
            return len([0 async for event in stream if event.type == "response.output_text.delta"])

    return ask


def anthropic_sdk(url: str) -> Ask:
    """Event by event, as the SDK gives them."""
    import anthropic

    sdk = anthropic.AsyncAnthropic(api_key="sk", base_url=url.removesuffix("/v1"))

    async def ask(words: str) -> int:
        stream = await sdk.messages.create(
            model="stub", max_tokens=9, messages=[{"role": "user", "content": words}], stream=True
        )
        async with stream:
            return len([0 async for event in stream if event.type == "content_block_delta"])

    return ask


async def measure(ask: Ask, streams: int, tokens: int, rate: float) -> float:
    """Microseconds of this process's CPU per token, with so many answers at the same time."""
    await ask(prompt(20, 0))
    spent, found = time.process_time(), 0

    async def one() -> None:
        nonlocal found
        count = await ask(prompt(tokens, rate))
        found += count

    async with trio.open_nursery() as nursery:
        for _ in range(streams):
            nursery.start_soon(one)
    if found != streams * tokens:
        raise RuntimeError(f"{found} tokens arrived of {streams * tokens}")
    return (time.process_time() - spent) / found * 1e6


async def main(way: str, whose: str, url: str, streams: int, tokens: int, rate: float) -> None:
    """Print what it costs by one way."""
    if whose == "sdk":
        sdk = {"openai": openai_sdk, "responses": responses_sdk, "anthropic": anthropic_sdk}[way]
        print(await measure(sdk(url), streams, tokens, rate))
        return
    if not rate:
        print(await measure(ours(way, url, None), streams, tokens, rate))
        return
    async with trio.open_nursery() as nursery:
        pacer = Pacer()
        await nursery.start(pacer.run)
        print(await measure(ours(way, url, pacer), streams, tokens, rate))
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6]))
