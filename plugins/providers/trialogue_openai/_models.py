"""What an upstream's list of models says, as ours: the ones that chat, with the context they are known to take."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from trialogue import Model, Prices, ProviderError
from trialogue.upstreams import Questions, custom_headers
from trialogue_openai._native import Told, lmstudio, ollama
from trialogue_openai._profiles import NO_KEY, Profile

#: OpenAI's own list mixes everything it has.
_NOT_FOR_CHAT = re.compile(
    r"embed|whisper|tts|dall-e|moderation|image|audio|realtime|transcribe|davinci|babbage|sora|search|instruct"
)
#: Where a list does not say it: what OpenAI's models take at least.
_CONTEXT_OF_OPENAI = 128_000
#: Of OpenAI's own, which are sent pictures; its list does not say.
_SEEING = re.compile(r"^(?:gpt-4o|chatgpt-4o|gpt-4-turbo|gpt-4\.1|gpt-4\.5|gpt-5|o1(?!-mini|-preview)|o3(?!-mini)|o4)")
#: The same of those that call tools, and of those that answer in a schema.
_CALLING = re.compile(r"^(?:gpt-[3-9]|o1(?!-mini|-preview)|o[3-9])")
_STRUCTURED = re.compile(r"^(?:gpt-4o(?!-2024-05-13)|gpt-4\.[15]|gpt-[5-9]|o1(?!-mini|-preview)|o[3-9])")


class _Meta(msgspec.Struct):
    n_ctx: int | None = None


class _Abilities(msgspec.Struct):
    vision: bool = False
    function_calling: bool = False


class _Architecture(msgspec.Struct):
    input_modalities: list[str] = []


class _Pricing(msgspec.Struct):
    prompt: str | None = None
    completion: str | None = None
    input_cache_read: str | None = None
    input_cache_write: str | None = None
    internal_reasoning: str | None = None
    request: str | None = None

    def prices(self) -> Prices | None:
        """Nothing where something is not told, or is not by the token."""
        names = ("prompt", "completion", "input_cache_read", "input_cache_write", "internal_reasoning", "request")
        told = {name: _micro_dollars(value) for name in names if (value := getattr(self, name)) is not None}
        asked, said = told.get("prompt"), told.get("completion")
        if asked is None or said is None or None in told.values() or told.get("request"):
            return None
        # A kind of token that is told to cost nothing is not told apart.
        read, written = told.get("input_cache_read") or None, told.get("input_cache_write") or None
        return Prices(asked, said, cache_read=read, cache_write=written)


def _micro_dollars(per_token: str) -> int | None:
    """For a million tokens, which is what prices are in here; ``None`` if it is no such price."""
    try:
        value = Decimal(per_token) * 10**12
    except InvalidOperation:
        return None
    return round(value) if value.is_finite() and 0 <= value < 10**12 else None


class _TopProvider(msgspec.Struct):
    max_completion_tokens: int | None = None


class _Listed(msgspec.Struct):
    """A model and, beside OpenAI's fields, its context as OpenRouter, vLLM and llama.cpp tell it."""

    id: str
    context_length: int | None = None
    max_model_len: int | None = None
    meta: _Meta | None = None
    #: As OpenRouter, and as Mistral tells what it takes; a list of words, or something else, tells nothing here.
    architecture: _Architecture | None = None
    capabilities: _Abilities | list[str] | str | None = None
    #: As OpenRouter tells what a token costs, in dollars, and how long an answer can be.
    pricing: _Pricing | None = None
    top_provider: _TopProvider | None = None
    #: As OpenRouter tells what else can be asked of it.
    supported_parameters: list[str] = []

    def sees(self, official: bool) -> bool:
        """Whether it may be sent pictures."""
        if official:
            return bool(_SEEING.match(self.id))
        if self.architecture is not None and "image" in self.architecture.input_modalities:
            return True
        return isinstance(self.capabilities, _Abilities) and self.capabilities.vision

    def calls(self, official: bool) -> bool:
        """Whether it may be offered tools."""
        if official:
            return bool(_CALLING.match(self.id))
        told = isinstance(self.capabilities, _Abilities) and self.capabilities.function_calling
        return told or "tools" in self.supported_parameters

    def structures(self, official: bool) -> bool:
        """Whether it answers in a schema."""
        return bool(_STRUCTURED.match(self.id)) if official else "structured_outputs" in self.supported_parameters

    def context(self) -> int | None:
        return self.context_length or self.max_model_len or (self.meta.n_ctx if self.meta else None)


class _List(msgspec.Struct):
    data: list[_Listed]


def headers_of(profile: Profile, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Who asks for the list: what the SDK would say of that."""
    told = {
        "authorization": f"Bearer {profile.key or NO_KEY}",
        "openai-organization": environment.get("OPENAI_ORG_ID", ""),
        "openai-project": environment.get("OPENAI_PROJECT_ID", ""),
        **{name.lower(): value for name, value in custom_headers(environment.get("OPENAI_CUSTOM_HEADERS", "")).items()},
    }
    return {name: value for name, value in told.items() if value}


async def listed_models(questions: Questions, profile: Profile) -> Sequence[Model]:
    """Asks the upstream, once and not for long. Raises ``ProviderError``."""
    listed = (await questions.get("/models", _List)).data
    told = await _told(questions, profile, [model.id for model in listed])
    return [_model(model, profile, told.get(model.id, Told())) for model in listed if _chats(model, profile, told)]


async def _told(questions: Questions, profile: Profile, names: list[str]) -> Mapping[str, Told]:
    """What a list of its own says besides; nothing when that cannot be read."""
    try:
        match profile.kind.list:
            case "ollama":
                return await ollama(questions, names)
            case "lmstudio":
                return await lmstudio(questions, names)
            case None:
                return {}
    except ProviderError:
        return {}


def _chats(listed: _Listed, profile: Profile, told: Mapping[str, Told]) -> bool:
    if profile.base_url is None:
        return not _NOT_FOR_CHAT.search(listed.id)
    return told.get(listed.id, Told()).chats


def _model(listed: _Listed, profile: Profile, told: Told) -> Model:
    default = _CONTEXT_OF_OPENAI if profile.base_url is None else profile.context or profile.kind.context
    official = profile.base_url is None
    capabilities = {
        "vision": told.sees or listed.sees(official),
        "tools": told.calls or listed.calls(official),
        "structured_output": profile.kind.structures or listed.structures(official),
        "continues": profile.kind.continues,
    }
    named = [name for name, is_so in capabilities.items() if is_so]
    return Model(
        f"{profile.name}:{listed.id}",
        profile.name,
        f"{listed.id} ({profile.title})" if profile.title else listed.id,
        told.context or listed.context() or default,
        tuple(dict.fromkeys([*named, *profile.capabilities])),
        prices=listed.pricing.prices() if listed.pricing else None,
        output_tokens=listed.top_provider.max_completion_tokens if listed.top_provider else None,
    )
