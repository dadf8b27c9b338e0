"""What a mutant is: a context in which the core, or the store, is patched so that one promise is broken."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeAlias

Mutant: TypeAlias = Callable[[], AbstractContextManager[object]]
#: All of them, by name.
MUTANTS: dict[str, Mutant] = {}
#: Those that are found only where there are several nodes.
CLUSTER_MUTANTS: dict[str, Mutant] = {}


def mutant(mutant: Mutant) -> Mutant:
    """Add one to the collection; its docstring says what it breaks."""
    MUTANTS[mutant.__name__] = mutant
    return mutant


@contextmanager
def both(*patches: AbstractContextManager[object]) -> Generator[None]:
    """Two patches at a time."""
    first, second = patches
    with first, second:
        yield
