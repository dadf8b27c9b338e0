"""Mutants: the core, each time with one promise broken. The simulation has to find every one of them.

They prove that the net has no hole; a checker that no mutant needs is a checker nobody has seen at work.
"""

from __future__ import annotations

from simulation import (
    mutants_of_acting,
    mutants_of_asides,
    mutants_of_asking,
    mutants_of_calling,
    mutants_of_charging,
    mutants_of_reading,
    mutants_of_storing,
)
from simulation.mutant import MUTANTS as MUTANTS

__all__ = [
    "MUTANTS",
    "mutants_of_acting",
    "mutants_of_asides",
    "mutants_of_asking",
    "mutants_of_calling",
    "mutants_of_charging",
    "mutants_of_reading",
    "mutants_of_storing",
]
