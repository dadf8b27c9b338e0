"""The catalog: which providers there are, which models they offer, and which of them a request means."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import trio

from trialogue._asking.provider import Provider
from trialogue._facts.errors import InvalidError, ProviderError
from trialogue._facts.values import Model
from trialogue._paying.prices import PriceList

#: A provider that lists its models more slowly than this is left out of the answer.
PATIENCE = 5.0
#: Assumed of a model that no listing describes: the smallest context of the models served widely today.
CONTEXT_TOKENS = 32_768

_log = logging.getLogger("trialogue.catalog")


class Catalog:
    """The providers of this node, by name."""

    def __init__(
        self, providers: Sequence[Provider], default: str | None = None, prices: PriceList | None = None
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._prices = prices or PriceList()
        #: What the last listing said, by full id; a model is known once it was listed.
        self._known: dict[str, Model] = {}
        #: The first model that each provider ever listed.
        self._first: dict[str, str] = {}
        self._default = default
        #: By provider: set once it was asked what it offers, and has answered or was given up on.
        self._asked = {name: trio.Event() for name in self._providers}
        #: Whether a provider that was asked last did not answer.
        self.wanting: bool = False

    @property
    def default(self) -> str | None:
        """The full id that ``None`` stands for: as configured, else the first model of the first provider that has some."""
        return self._default or next((self._first[name] for name in self._providers if name in self._first), None)

    def provider(self, model: str) -> tuple[Provider, str]:
        """The provider of a full model id and the model's name inside it. Raises ``InvalidError``."""
        prefix, _, name = model.partition(":")
        provider = self._providers.get(prefix)
        if provider is None or not name:
            names = ", ".join(sorted(self._providers)) or "none"
            raise InvalidError(f"no provider serves {model!r}: the providers here are {names}", pointer="/model")
        return provider, name

    def resolve(self, model: str | None) -> str:
        """The full id meant by ``model``. Raises ``InvalidError`` when nobody serves it."""
        wanted = model or self.default
        if wanted is None:
            raise InvalidError("no model is available: configure a provider", pointer="/model")
        provider, name = self.provider(wanted)
        if wanted not in self._known and not provider.accepts(name):
            raise InvalidError(f"{provider.name} offers no model {name!r}: see GET /api/models", pointer="/model")
        return wanted

    def find(self, model: str) -> Model | None:
        """What is known of a model, if anybody serves it."""
        try:
            return self.describe(self.resolve(model))
        except InvalidError:
            return None

    async def settle(self, model: str | None, patience: float = PATIENCE) -> None:
        """Wait, soon after the start, until it is known what the model can: until its provider was asked.

        ``None`` is the default; as long as nobody has said which one that is, all of them may have it.
        """
        wanted = model or self._default
        asked = list(self._asked.values()) if wanted is None else [self._asked.get(wanted.partition(":")[0])]
        with trio.move_on_after(patience):
            for one in asked:
                if one is not None and not one.is_set():
                    await one.wait()

    def describe(self, model: str) -> Model:
        """What is known of a model; careful assumptions for one that no listing describes."""
        if model not in self._known:
            prefix, _, name = model.partition(":")
            return self._priced(Model(model, prefix, name, CONTEXT_TOKENS))
        return self._known[model]

    def _priced(self, model: Model) -> Model:
        provider = self._providers.get(model.provider)
        return self._prices.complete(model, None if provider is None else provider.vendor)

    async def models(self) -> Sequence[Model]:
        """All models of all providers, in the providers' order; a provider that fails is left out, with a log line."""
        listings: dict[str, Sequence[Model]] = {}

        async def ask(provider: Provider) -> None:
            try:
                with trio.fail_after(PATIENCE):
                    models = _listed(provider.name, await provider.models())
                listings[provider.name] = self._learn(provider, models)
            except (ProviderError, trio.TooSlowError) as error:
                _log.warning("%s lists no models: %s", provider.name, str(error) or "too slow")
            except Exception:
                # A bad plugin degrades alone.
                _log.exception("%s failed to list its models", provider.name)
            self._asked[provider.name].set()

        async with trio.open_nursery() as nursery:
            for provider in self._providers.values():
                nursery.start_soon(ask, provider)
        self.wanting = len(listings) < len(self._providers)
        return [model for name in self._providers for model in listings.get(name, ())]

    def _learn(self, provider: Provider, models: Sequence[Model]) -> Sequence[Model]:
        priced = [self._priced(model) for model in models]
        self._known.update((model.id, model) for model in priced)
        if priced:
            self._first.setdefault(provider.name, priced[0].id)
        return priced

    async def prepare(self) -> None:
        """Have each provider do beforehand what its first request would wait for; one that fails is left to that."""
        for provider in self._providers.values():
            try:
                await provider.prepare()
            except ProviderError as error:
                _log.warning("%s is not prepared: %s", provider.name, error)
            except Exception:
                # A bad plugin degrades alone.
                _log.exception("%s failed to prepare", provider.name)

    async def aclose(self) -> None:
        """Close every provider; one that fails or takes too long does not keep the others from it."""
        for provider in self._providers.values():
            with trio.move_on_after(PATIENCE, shield=True):
                try:
                    await provider.aclose()
                except Exception:
                    _log.exception("%s failed to close", provider.name)


def _listed(name: str, models: Iterable[object]) -> Sequence[Model]:
    """What the provider called ``name`` says that it offers. Raises ``TypeError`` when that is junk."""
    found: list[Model] = []
    for model in models:
        if not isinstance(model, Model) or not model.id.startswith(f"{name}:"):
            raise TypeError(f"{name} lists {model!r:.200}, which is no Model of its own")
        found.append(model)
    return found
