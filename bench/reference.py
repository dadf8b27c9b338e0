"""The reference: a pass-through of the same upstream on Starlette, uvicorn and httpx. Runs in the benchmarks' own venv.

It keeps nothing, knows nobody, and hands each chunk on as it comes: what a proxy of this kind costs at the least.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

client = httpx.AsyncClient(timeout=None, limits=httpx.Limits(max_connections=None, max_keepalive_connections=None))


async def chat(request: Request) -> StreamingResponse:
    """POST /chat: the upstream's answer, chunk by chunk."""
    body = await request.body()
    outgoing = client.build_request(
        "POST",
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        content=body,
        headers={"content-type": "application/json", "authorization": "Bearer bench"},
    )
    answer = await client.send(outgoing, stream=True)

    async def chunks() -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.aiter_raw():
                yield chunk
        finally:
            await answer.aclose()

    return StreamingResponse(chunks(), status_code=answer.status_code, media_type="text/event-stream")


app = Starlette(routes=[Route("/chat", chat, methods=["POST"])])
