"""What a node knows of the models it asks: their breakers, those of their providers, how they do, and counts.

A model has a breaker of its own, since one may fail where its neighbours answer. All of a provider's models share another
one, which opens when several of them fail and none answers: then the ones that were not asked yet need not be tried.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime

import msgspec
import trio

from trialogue._asking.breaker import Breaker, BreakerLimits, BreakerState, Pass
from trialogue._asking.health import Condition, Health
from trialogue._facts.errors import ProviderError, TrialogueError

#: Models that are remembered: where any name may be asked for, the ones asked longest ago are forgotten.
REMEMBERED = 256


class ModelStatistics(msgspec.Struct, frozen=True):
    """What became of what one model was asked since it is remembered. ``failed`` is by kind of failure."""

    health: Health
    breaker: BreakerState
    asked: int
    succeeded: int
    failed: dict[str, int]
    #: Asked again after it had turned the request away.
    retried: int
    #: Not asked, because its breaker or its provider's was open.
    spared: int


class Circuit:
    """One model's breaker, condition and counts."""

    def __init__(self, model: str, breaker: Breaker, condition: Condition) -> None:
        self.model = model
        self.provider: str = model.partition(":")[0]
        self.breaker = breaker
        self.condition = condition
        self.asked: int = 0
        self.succeeded: int = 0
        self.retried: int = 0
        self.spared: int = 0
        self.failed: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Circuit {self.model} {self.breaker.state} asked={self.asked} failed={self.failed}>"

    def fail(self, kind: str, words: str | None) -> None:
        """Count a failure; without words it is none of the model's."""
        self.failed[kind] = self.failed.get(kind, 0) + 1
        if words is not None:
            self.condition.note(words)

    def succeed(self) -> None:
        """Count an answer."""
        self.succeeded += 1
        self.condition.note(None)


class Circuits:
    """Those of one node. ``now`` tells the time."""

    def __init__(self, limits: BreakerLimits, now: Callable[[], datetime]) -> None:
        self._limits = limits
        # Of all of a provider's models together.
        self._shared = msgspec.structs.replace(limits, failures=2 * limits.failures, share=1.0)
        self._now = now
        self._providers: dict[str, Breaker] = {}
        self._models: OrderedDict[str, Circuit] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Circuits {list(self._models.values())}>"

    def of(self, model: str) -> Circuit:
        """A model's, by its full id."""
        found = self._models.get(model)
        if found is None:
            condition = Condition(trio.current_time, self._now)
            found = self._models[model] = Circuit(model, Breaker(self._limits), condition)
            while len(self._models) > REMEMBERED:
                self._models.popitem(last=False)
        self._models.move_to_end(model)
        return found

    def shared(self, provider: str) -> Breaker:
        """The breaker of all of a provider's models."""
        if provider not in self._providers:
            self._providers[provider] = Breaker(self._shared)
        return self._providers[provider]

    def resting(self, model: str) -> float:
        """Seconds for which a model is not asked; 0 when it is."""
        known, shared = self._models.get(model), self._providers.get(model.partition(":")[0])
        own = 0.0 if known is None else known.breaker.wait
        return own if shared is None else max(own, shared.wait)

    def health(self, model: str) -> Health:
        """How a model does."""
        resting, known = self.resting(model), self._models.get(model)
        if known is not None:
            return known.condition.health(resting)
        return Health("down", None, "its provider fails") if resting else Health("unknown")

    def must_not_rest(self, model: str) -> None:
        """Raises ``ProviderError`` (unavailable) when a model is not asked now, with the time at which it is again."""
        seconds = self.resting(model)
        if seconds:
            circuit = self.of(model)
            circuit.spared += 1
            why = circuit.condition.last_failure or "its provider fails"
            raise ProviderError(
                f"{model} has failed too often of late and is not asked for another {seconds:.0f} s ({why}): "
                "choose another model, or try again then",
                kind="unavailable",
                retry_after=seconds,
            )

    @contextmanager
    def outcome(self, model: str) -> Generator[Outcome]:
        """Let one through, who must not rest, and note what becomes of it."""
        circuit = self.of(model)
        outcome = Outcome((circuit.breaker, self.shared(circuit.provider)))
        circuit.asked += 1
        try:
            yield outcome
        except ProviderError as error:
            _note(circuit, outcome, error)
            raise
        except TrialogueError:
            outcome.let_go()  # Ours: of the store, or of who owns the conversation.
            raise
        except Exception:
            outcome.failed()
            circuit.fail("bug", "a bug in its provider, or in this server")
            raise
        except BaseException:
            outcome.let_go()
            raise
        else:
            outcome.succeeded()
            circuit.succeed()
        finally:
            # Looked at now, so that it can tell since when it is so.
            circuit.condition.health(self.resting(model))

    def statistics(self, provider: str) -> dict[str, ModelStatistics]:
        """Counts for the operator, by model."""
        return {
            model: ModelStatistics(
                self.health(model),
                known.breaker.state,
                known.asked,
                known.succeeded,
                dict(known.failed),
                known.retried,
                known.spared,
            )
            for model, known in self._models.items()
            if known.provider == provider
        }


def _note(circuit: Circuit, outcome: Outcome, error: ProviderError) -> None:
    if error.kind == "refused":
        # It answers: what is wrong is the request, or who asks.
        outcome.succeeded()
        circuit.fail(error.kind, None)
    else:
        outcome.failed(error.retry_after)
        circuit.fail(error.kind, error.detail)


class Outcome:
    """What becomes of one who was let through by ``breakers``."""

    def __init__(self, breakers: Sequence[Breaker]) -> None:
        self._passes = [(breaker, breaker.enter()) for breaker in breakers]

    def began(self) -> None:
        """The answer begins: a probe has seen enough, and is from now on one like any other."""
        self._passes = [_decided(breaker, entered) for breaker, entered in self._passes]

    def succeeded(self) -> None:
        """It went well."""
        for breaker, entered in self._passes:
            breaker.succeeded(entered)

    def failed(self, retry_after: float | None = None) -> None:
        """It failed."""
        for breaker, entered in self._passes:
            breaker.failed(entered, retry_after)

    def let_go(self) -> None:
        """Nothing is known of it."""
        for breaker, entered in self._passes:
            breaker.let_go(entered)


def _decided(breaker: Breaker, entered: Pass) -> tuple[Breaker, Pass]:
    if not entered.probe:
        return breaker, entered
    breaker.succeeded(entered)
    return breaker, (entered if breaker.wait else breaker.enter())
