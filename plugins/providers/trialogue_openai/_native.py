"""What Ollama and LM Studio tell of their models in lists of their own: the context they run with, and whether they see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import msgspec
import trio

from trialogue import ProviderError
from trialogue.upstreams import Questions

#: Models asked about at the same time, and at most: each is a request to somebody's own machine.
_AT_ONCE, _MOST = 8, 64


class Told(msgspec.Struct, frozen=True):
    """Of one model. ``None``: nothing was said of its context."""

    context: int | None = None
    sees: bool = False
    calls: bool = False
    chats: bool = True


async def ollama(questions: Questions, names: list[str]) -> Mapping[str, Told]:
    """A loaded model's context is known; another's where its file sets it."""
    told: dict[str, Told] = {}
    limit = trio.CapacityLimiter(_AT_ONCE)
    running: dict[str, int | None] = {}
    root = _root(questions)
    with suppress(ProviderError):
        running = {one.model: one.context_length for one in (await questions.get(f"{root}/api/ps", _Running)).models}

    async def ask(name: str) -> None:
        async with limit:
            with suppress(ProviderError):
                shown = await questions.post(f"{root}/api/show", {"model": name}, _Shown)
                set_by_file = re.search(r"^num_ctx\s+(\d{1,9})$", shown.parameters or "", re.MULTILINE)
                context = running.get(name) or (int(set_by_file[1]) if set_by_file else None)
                can = shown.capabilities
                told[name] = Told(context, "vision" in can, "tools" in can, not can or "completion" in can)

    async with trio.open_nursery() as nursery:
        for name in names[:_MOST]:
            nursery.start_soon(ask, name)
    return told


async def lmstudio(questions: Questions, names: list[str]) -> Mapping[str, Told]:
    """A loaded model's context is known. One that is not is loaded with a context of its own when it is asked."""
    return {
        model.key: Told(
            next((one.config.context_length for one in model.loaded_instances), None),
            model.capabilities is not None and model.capabilities.vision,
            model.capabilities is not None and model.capabilities.trained_for_tool_use,
            model.type != "embedding",
        )
        for model in (await questions.get(f"{_root(questions)}/api/v1/models", _Studio)).models
    }


class _RunningModel(msgspec.Struct):
    model: str
    context_length: int | None = None


class _Running(msgspec.Struct):
    models: list[_RunningModel] = []


class _Shown(msgspec.Struct):
    parameters: str | None = None
    capabilities: list[str] = []


class _Config(msgspec.Struct):
    context_length: int | None = None


class _Instance(msgspec.Struct):
    config: _Config = msgspec.field(default_factory=_Config)


class _Abilities(msgspec.Struct):
    vision: bool = False
    trained_for_tool_use: bool = False


class _StudioModel(msgspec.Struct):
    key: str
    type: str = "llm"
    loaded_instances: list[_Instance] = []
    capabilities: _Abilities | None = None


class _Studio(msgspec.Struct):
    models: list[_StudioModel] = []


def _root(questions: Questions) -> str:
    """Where the upstream's own interface is: beside that of this dialect."""
    url = urlsplit(questions.base_url)
    return f"{url.scheme}://{url.netloc}" + url.path.rstrip("/").removesuffix("/v1")
