"""How a request is asked: by Chat Completions or by Responses, in the background or not, and what of it can be left out."""

from __future__ import annotations

import re

from trialogue import ProviderError, Request
from trialogue.openai_dialect import responses_body
from trialogue_openai._profiles import Profile

#: Of OpenAI's own, those that think, as far as their names tell; its list does not say.
_THINKING = re.compile(r"^(?:o\d|gpt-(?:[5-9]|\d\d)(?![\w.]*-chat))")


def speaks_responses(profile: Profile, request: Request) -> bool:
    """Whether the request goes to Responses.

    By itself only OpenAI is taken to know them. They know no stop sequences and no seed: a request with one of these goes to
    Chat Completions, unless the operator wants it otherwise.
    """
    if profile.api != "auto":
        return profile.api == "responses"
    return profile.official and request.settings.stop is None and request.settings.seed is None


class ResponsesAsked:
    """The bodies of one request for Responses: the first, and others with less in them that may be taken where it is not."""

    def __init__(self, profile: Profile, request: Request, *, summaries: bool) -> None:
        self._profile = profile
        self._request = request
        self._own: str | None = f"{profile.name}:{request.model}"
        self._thinks = profile.official and bool(_THINKING.match(request.model))
        self._summaries = summaries and profile.thinking

    def body(self) -> bytes:
        """What is sent next."""
        extra: dict[str, object] = {}
        if self._thinks:
            extra["include"] = ["reasoning.encrypted_content"]
            if self._summaries:
                extra["reasoning"] = {"summary": "auto"}
        return responses_body(self._request, own=self._own, kept=self._profile.background, **extra)

    @property
    def summaries(self) -> bool:
        """Whether summaries of thoughts are asked for still."""
        return self._summaries

    def without(self, error: ProviderError) -> bool:
        """Leave out what the request may have been refused for; whether there was such a thing.

        Summaries of thoughts are for organizations that OpenAI has verified. And thoughts it may not take back: those of a
        conversation that was changed meanwhile, or of another account.
        """
        if error.kind != "refused":
            return False
        if self._thinks and self._summaries and "summar" in error.detail:
            self._summaries = False
            return True
        if self._own is not None and any(words in error.detail for words in ("reasoning", "encrypted", "Item ")):
            self._own = None
            return True
        return False
