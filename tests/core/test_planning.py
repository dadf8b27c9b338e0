"""Where a branch is cut: whatever it looks like, between turns, deeply, and nothing is left out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from trialogue import Role
from trialogue._runs.planning import Seen, plan

SIZES = st.integers(1, 60)
ROLES: st.SearchStrategy[Role] = st.sampled_from(["user", "user", "assistant", "assistant", "tool", "system"])
BRANCHES = st.lists(st.tuples(ROLES, SIZES, SIZES), max_size=30).map(
    lambda rows: [Seen(f"m{number}", role, shown, summed) for number, (role, shown, summed) in enumerate(rows)]
)


@given(BRANCHES, st.integers(-50, 400), st.integers(0, 400))
def test_every_plan_cuts_between_turns_and_leaves_nothing_out(branch: Sequence[Seen], keep: int, room: int) -> None:
    steps = plan(branch, keep, room)
    older = sum(step.number for step in steps)
    kept = branch[: len(branch) - older]
    oldest_first = branch[::-1]
    for step, end in zip(steps, accumulate(step.number for step in steps), strict=True):
        assert step.number > 0
        assert oldest_first[end - 1].id == step.message
        assert oldest_first[end].role == "user", "tool calls would be parted from their results"
        part = oldest_first[end - step.number : end]
        turns = [seen for before, seen in zip([None, *part], part, strict=False) if _begins(before, seen)]
        assert sum(seen.summed for seen in part) <= room or len(turns) <= 1
    assert not steps or kept, "the last turn stays"
    questions = [seen for seen in kept if seen.role == "user"]
    assert not steps or sum(seen.shown for seen in kept) <= keep or len(questions) == 1


def _begins(before: Seen | None, seen: Seen) -> bool:
    return seen.role == "user" and before is not None and before.role != "user"


def test_branch_that_fits_is_left_alone() -> None:
    assert plan([Seen("b", "assistant", 5, 5), Seen("a", "user", 5, 5)], 10, 100) == []
    assert plan([], 10, 100) == []


def test_long_part_takes_several_steps() -> None:
    branch = [Seen(f"{n}", "assistant" if n % 2 else "user", 10, 10) for n in reversed(range(10))]
    assert [tuple(step) for step in plan(branch, 20, 40)] == [("3", 4), ("7", 4)]
