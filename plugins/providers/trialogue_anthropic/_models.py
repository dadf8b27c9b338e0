"""What an upstream's list of models says: as models of ours, and what has to be known of each to ask it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from trialogue import Model
from trialogue.upstreams import Questions, custom_headers
from trialogue_anthropic._facts import Facts, takes_prefix

#: The version of the API whose list we read; the SDK says the same.
VERSION = "2026-10-21"
#: Where a list does not say it: what every model of Anthropic's has taken since its third generation.
_CONTEXT = 200_000


class _Support(msgspec.Struct):
    supported: bool = False


class _Types(msgspec.Struct):
    adaptive: _Support = msgspec.field(default_factory=_Support)
    disabled: _Support = msgspec.field(default_factory=_Support)


class _Thinking(msgspec.Struct):
    supported: bool = False
    types: _Types = msgspec.field(default_factory=_Types)


class _Capabilities(msgspec.Struct):
    image_input: _Support = msgspec.field(default_factory=_Support)
    citations: _Support = msgspec.field(default_factory=_Support)
    structured_outputs: _Support = msgspec.field(default_factory=_Support)
    thinking: _Thinking = msgspec.field(default_factory=_Thinking)


class _Listed(msgspec.Struct):
    """A model. Other upstreams of this dialect leave out nearly everything."""

    id: str
    display_name: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    lifecycle: str = "active"
    capabilities: _Capabilities | None = None


class _List(msgspec.Struct):
    data: list[_Listed]


def headers_for_list(key: str, environment: Mapping[str, str], official: bool) -> Mapping[str, str]:
    """Who asks for the list, and in which version: what the SDK would say of that, and for copies of the API its key."""
    own = custom_headers(environment.get("ANTHROPIC_CUSTOM_HEADERS", ""))
    return {
        "authorization": f"Bearer {key}",
        "anthropic-version": VERSION,
        **({} if official else {"x-api-key": key}),
        **{name.lower(): value for name, value in own.items()},
    }


async def listed_models(questions: Questions, provider: str, official: bool) -> Mapping[str, Facts]:
    """What the upstream tells of its models, by name. It is asked once and not for long. Raises ``ProviderError``."""
    listed = (await questions.get("/v1/models?limit=1000", _List)).data
    return {model.id: _facts(model, provider, official) for model in listed if model.lifecycle != "retired"}


def _facts(listed: _Listed, provider: str, official: bool) -> Facts:
    told = listed.capabilities or _Capabilities(image_input=_Support(official))
    named = {
        "vision": told.image_input.supported,
        "tools": True,  # they are of the dialect
        "structured_output": told.structured_outputs.supported,
        "citations": told.citations.supported,
        "reasoning": told.thinking.types.adaptive.supported,
        "continues": takes_prefix(listed.id),
    }
    model = Model(
        f"{provider}:{listed.id}",
        provider,
        listed.display_name or listed.id,
        listed.max_input_tokens or _CONTEXT,
        tuple(name for name, is_so in named.items() if is_so),
        output_tokens=listed.max_tokens or None,
    )
    return Facts(model, told.thinking.types.adaptive.supported, told.thinking.types.disabled.supported)
