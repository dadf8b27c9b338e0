"""OpenAI and further upstreams of its dialects, each a provider of its own name, from the environment.

TRIALOGUE_OPENAI_PROFILES=ollama,gpu
TRIALOGUE_OPENAI_OLLAMA_BASE_URL=http://127.0.0.1:11434/v1    absent, the usual one of its kind
TRIALOGUE_OPENAI_OLLAMA_API_KEY=...                           absent where none is needed
TRIALOGUE_OPENAI_OLLAMA_TITLE="The box under the desk"        stands behind the names of its models
TRIALOGUE_OPENAI_OLLAMA_CONTEXT_TOKENS=16384                  where its list does not tell
TRIALOGUE_OPENAI_GPU_KIND=vllm                                absent, what its name says, or none in particular
TRIALOGUE_OPENAI_GPU_BASE_URL=http://10.0.0.7:8000/v1

Of each, and, without a name (TRIALOGUE_OPENAI_API), of the one that OPENAI_API_KEY and OPENAI_BASE_URL declare:

TRIALOGUE_OPENAI_GPU_API=responses                            chat, responses, or auto: responses of OpenAI itself
TRIALOGUE_OPENAI_GPU_BACKGROUND=on                            answers go on there while nobody reads, and are kept there
TRIALOGUE_OPENAI_GPU_THINKING=off                             no summaries of thoughts are asked for
TRIALOGUE_OPENAI_GPU_CAPABILITIES=tools,structured_output     what its models can besides what their list tells
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal
from urllib.parse import urlsplit

import msgspec

from trialogue import ConfigurationError
from trialogue.sdk_provider import is_address

PREFIX: Final = "TRIALOGUE_OPENAI_"
#: Whose prices, models and habits are known.
OFFICIAL: Final = "https://api.openai.com/v1"
#: What stands in the place of a key for an upstream that wants none.
NO_KEY: Final = "no-key-needed"
_OWN_KEYS = ("API", "BACKGROUND", "THINKING", "CAPABILITIES")
_KEYS = ("BASE_URL", "API_KEY", "TITLE", "CONTEXT_TOKENS", "KIND", *_OWN_KEYS)
_CAPABILITIES = ("tools", "structured_output", "vision", "reasoning")
_SWITCH = {"on": True, "1": True, "off": False, "0": False}
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


class Kind(msgspec.Struct, frozen=True):
    """In what an upstream differs from the others. What they call thoughts, and whether they count, is met as it comes."""

    #: Where it usually listens.
    base_url: str | None = None
    #: Context where its list does not tell.
    context: int = 32_768
    #: Whether it goes on from a last message of the assistant, and what it has to be told for that. (JSON values.)
    continues: bool = False
    going_on: dict[str, Any] = {}
    #: Whether every model answers in a schema, because it is made to where words are drawn.
    structures: bool = False
    #: Whose list of its own says more of models than the one of this dialect.
    list: Literal["ollama", "lmstudio"] | None = None


PLAIN: Final = Kind()
KINDS: Final = {
    # Cuts what does not fit its context off without a word, and unless it has much graphics memory that is small.
    "ollama": Kind("http://127.0.0.1:11434/v1", context=4_096, list="ollama", structures=True),
    "vllm": Kind(
        "http://127.0.0.1:8000/v1",
        continues=True,
        structures=True,
        going_on={"continue_final_message": True, "add_generation_prompt": False},
    ),
    "llamacpp": Kind("http://127.0.0.1:8080/v1", continues=True, structures=True),
    "lmstudio": Kind("http://127.0.0.1:1234/v1", context=4_096, list="lmstudio", structures=True),
    "openrouter": Kind("https://openrouter.ai/api/v1"),
}


class Profile(msgspec.Struct, frozen=True):
    """One upstream: its name in the ids of models, and what is known of it."""

    name: str = "openai"
    key: str | None = None
    #: ``None``: OpenAI itself.
    base_url: str | None = None
    title: str | None = None
    #: As the operator says; else the kind's.
    context: int | None = None
    kind: Kind = PLAIN
    #: Which of the dialects it is asked in.
    api: Literal["auto", "chat", "responses"] = "auto"
    #: Whether it goes on with answers that nobody reads, and keeps them.
    background: bool = False
    #: Whether summaries of thoughts are asked for.
    thinking: bool = True
    #: What its models can, besides what is told of each.
    capabilities: tuple[str, ...] = ()

    @property
    def official(self) -> bool:
        """Whether it is OpenAI itself."""
        return urlsplit(self.base_url or OFFICIAL).hostname == urlsplit(OFFICIAL).hostname

    def __repr__(self) -> str:
        return f"Profile({self.name!r}, base_url={self.base_url!r})"


def read_own(environment: Mapping[str, str]) -> Profile | None:
    """The one that goes by the vendor's own variables, if they are set. Raises ``ConfigurationError``."""
    key, base_url = environment.get("OPENAI_API_KEY"), environment.get("OPENAI_BASE_URL")
    if base_url and not is_address(base_url):
        raise ConfigurationError("OPENAI_BASE_URL must be an http or https address")
    profile = Profile(key=key or None, base_url=base_url or None)
    return _with_manners(profile, "", environment) if key or base_url else None


def read_profiles(environment: Mapping[str, str]) -> list[Profile]:
    """Every profile that is named. Raises ``ConfigurationError`` for what cannot be meant."""
    names = [name.strip().lower() for name in environment.get(f"{PREFIX}PROFILES", "").split(",") if name.strip()]
    for name in names:
        if not _NAME.fullmatch(name) or name == "openai":
            raise ConfigurationError(
                f"{PREFIX}PROFILES: {name!r} must consist of lower case letters, digits and dashes, and not be openai"
            )
    known = {
        f"{PREFIX}PROFILES",
        *(PREFIX + key for key in _OWN_KEYS),
        *(_variable(name, key) for name in names for key in _KEYS),
    }
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and variable not in known:
            raise ConfigurationError(f"{variable} belongs to no profile that {PREFIX}PROFILES names, or is misspelt")
    return [_read(name, environment) for name in dict.fromkeys(names)]


def _read(name: str, environment: Mapping[str, str]) -> Profile:
    def given(key: str) -> str | None:
        return environment.get(_variable(name, key), "").strip() or None

    wanted = given("KIND") or (name if name in KINDS else None)
    if wanted is not None and wanted not in KINDS:
        raise ConfigurationError(f"{_variable(name, 'KIND')}={wanted!r} must be one of {', '.join(KINDS)}, or absent")
    kind = PLAIN if wanted is None else KINDS[wanted]
    base_url = given("BASE_URL") or kind.base_url
    if base_url is None:
        raise ConfigurationError(f"{_variable(name, 'BASE_URL')} is not set, and profile {name!r} cannot do without it")
    if not is_address(base_url):
        raise ConfigurationError(f"{_variable(name, 'BASE_URL')} must be an http or https address")
    context = given("CONTEXT_TOKENS")
    if context is not None and not (context.isascii() and context.isdigit() and int(context) > 0):
        raise ConfigurationError(f"{_variable(name, 'CONTEXT_TOKENS')}={context!r} must be a whole number above 0")
    profile = Profile(name, given("API_KEY"), base_url, given("TITLE"), int(context) if context else None, kind)
    return _with_manners(profile, name, environment)


def _with_manners(profile: Profile, name: str, environment: Mapping[str, str]) -> Profile:
    """How it is to be asked."""

    def one_of(key: str, values: Mapping[str, Any]) -> Any:  # Any of the values.
        variable = _variable(name, key)
        text = environment.get(variable, "").strip().lower()
        if text and text not in values:
            raise ConfigurationError(f"{variable}={text!r} must be one of {', '.join(values)}, or absent")
        return values.get(text)

    api = one_of("API", {"auto": "auto", "chat": "chat", "responses": "responses"}) or "auto"
    background, thinking = one_of("BACKGROUND", _SWITCH), one_of("THINKING", _SWITCH)
    if background and (api == "chat" or (api == "auto" and not profile.official)):
        raise ConfigurationError(f"{_variable(name, 'BACKGROUND')} needs {_variable(name, 'API')}=responses")
    named = environment.get(_variable(name, "CAPABILITIES"), "").replace(",", " ").split()
    for capability in named:
        if capability not in _CAPABILITIES:
            raise ConfigurationError(
                f"{_variable(name, 'CAPABILITIES')} holds {capability!r}: there are {', '.join(_CAPABILITIES)}"
            )
    return msgspec.structs.replace(
        profile, api=api, background=bool(background), thinking=thinking is not False, capabilities=tuple(named)
    )


def _variable(name: str, key: str) -> str:
    return f"{PREFIX}{name.upper().replace('-', '_')}_{key}" if name else PREFIX + key
