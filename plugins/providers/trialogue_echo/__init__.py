"""Echo: a provider that is always there, needs no key and no network, and answers the same way every time.

``echo:echo`` repeats what the user said inside a short text in Markdown. Directives in double square brackets inside the
message make it fast, slow, long or faulty, so that a person at a page and a test can ask for the same trouble:

    Tell me a story [[tokens=200 rate=50 delay=0.5]]
    [[tokens=100 fail=20 kind=throttled retry_after=3]]

``README.md`` beside this file lists them all. Time is Trio's, so a virtual clock works.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trialogue import Provider, hookimpl
from trialogue_echo._directives import Directives as Directives
from trialogue_echo._directives import parse as parse
from trialogue_echo._provider import EchoProvider as EchoProvider
from trialogue_echo._text import tokens_of as tokens_of

__all__ = ["Directives", "EchoProvider", "parse", "tokens_of", "trialogue_providers"]


@hookimpl
def trialogue_providers(environment: Mapping[str, str]) -> Sequence[Provider]:
    """Always one provider; it has no settings."""
    return [EchoProvider()]
