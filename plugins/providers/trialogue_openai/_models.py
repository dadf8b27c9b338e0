"""What an upstream's list of models says, as ours: the ones that chat, with the context they are known to take."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import openai

from trialogue import Model, ProviderError

#: OpenAI's own list mixes everything it has.
_NOT_FOR_CHAT = re.compile(
    r"embed|whisper|tts|dall-e|moderation|image|audio|realtime|transcribe|davinci|babbage|sora|search|instruct"
)
#: Where a list does not say it: what OpenAI's models take at least, and what most others do.
_CONTEXT_OF_OPENAI, _CONTEXT_OF_OTHERS = 128_000, 32_768


#: Of OpenAI's own, which are sent pictures; its list does not say.
_SEEING = re.compile(r"^(?:gpt-4o|chatgpt-4o|gpt-4-turbo|gpt-4\.1|gpt-4\.5|gpt-5|o1(?!-mini|-preview)|o3(?!-mini)|o4)")


class _Meta(msgspec.Struct):
    n_ctx: int | None = None


class _Abilities(msgspec.Struct):
    vision: bool = False


class _Architecture(msgspec.Struct):
    input_modalities: list[str] = []


class _Listed(msgspec.Struct):
    """A model and, beside OpenAI's fields, its context as OpenRouter, vLLM and llama.cpp tell it."""

    id: str
    context_length: int | None = None
    max_model_len: int | None = None
    meta: _Meta | None = None
    #: As OpenRouter, and as Mistral tells what it takes; a list of words, or something else, tells nothing here.
    architecture: _Architecture | None = None
    capabilities: _Abilities | list[str] | str | None = None

    def sees(self, official: bool) -> bool:
        """Whether it may be sent pictures."""
        if official:
            return bool(_SEEING.match(self.id))
        if self.architecture is not None and "image" in self.architecture.input_modalities:
            return True
        return isinstance(self.capabilities, _Abilities) and self.capabilities.vision

    def context(self) -> int | None:
        return self.context_length or self.max_model_len or (self.meta.n_ctx if self.meta else None)


class _List(msgspec.Struct):
    data: list[_Listed]


async def listed_models(sdk: openai.AsyncOpenAI, official: bool) -> Sequence[Model]:
    """Asks the upstream, once and not for long. Raises what the SDK raises, and ``ProviderError``."""
    # Not sdk.models.list(), which fails with an AttributeError where the answer is no JSON.
    body = await sdk.with_options(timeout=5.0, max_retries=0).get("/models", cast_to=object)
    try:
        listed = msgspec.convert(body, _List).data
    except msgspec.ValidationError as error:
        raise ProviderError(f"the upstream's list of models cannot be read: {error}", kind="malformed") from error
    default = _CONTEXT_OF_OPENAI if official else _CONTEXT_OF_OTHERS
    return [
        Model(
            f"openai:{model.id}",
            "openai",
            model.id,
            model.context() or default,
            ("vision",) if model.sees(official) else (),
        )
        for model in listed
        if not (official and _NOT_FOR_CHAT.search(model.id))
    ]
