"""The bill: what each run is charged, held against what its log says, and all of it against the budget."""

from __future__ import annotations

import json

from simulation.fold import ENDS, Json, require
from simulation.providers import BATCH, PRICES

from trialogue.testing._memory_ledger import Book
from trialogue.testing._memory_rows import Row

#: Events that tell of what a model was asked beside the answers.
_BESIDE = ("conversation.updated", "context.compacted")
#: What a provider may send beyond the length that it was asked for: a batch, or some tool calls of one.
BEYOND = BATCH + 12


def judge_bill(row: Row, book: Book) -> None:
    """One conversation after everything has settled. Raises ``Impossible``."""
    ids = {run for run, charge in book.settled.items() if charge.conversation == row.header.id}
    beside = _asides(row)
    for run, told in beside.items():
        charge = book.settled[run]
        known = {name: getattr(charge.billed, name) for name in told["usage"]}
        require(known == told["usage"], run, "is charged", known, "where the log says", told["usage"])
    ids -= set(beside)
    runs = _runs(row)
    require(ids == set(runs), "charged are", ids, "while the log has", set(runs))
    for run, told in runs.items():
        charge = book.settled[run]
        require(charge.billed is not None, "nothing is known of", run)
        assert charge.billed is not None
        billed = json.loads(json.dumps({name: getattr(charge.billed, name) for name in told["usage"]}))
        require(billed == told["usage"], run, "is charged", billed, "where the log says", told["usage"])
        require(charge.status == told["end"].removeprefix("run."), run, "is", charge.status, "after", told["end"])
        require(charge.counted is not None and charge.counted.output_tokens == told["pieces"], "our own count of", run)
        # Each generation's cost is rounded by itself.
        cost, right = charge.billed.cost, _cost(told)
        near = cost == right or (cost is not None and right is not None and abs(cost - right) < told["generations"])
        require(near, run, "costs", cost, "where it should be", right)


def judge_budget(book: Book, budget: int | None) -> None:
    """Nobody used more than the budget, but for what a provider sends beyond the length it was asked for."""
    require(not book.open and not book.holds, "still open:", book.open, book.holds)
    if budget is not None:
        answers = [
            charge for charge in book.settled.values() if charge.kind == "answer"
        ]  # Nothing is set aside for others.
        billed = [charge.billed for charge in answers if charge.billed is not None]
        used = sum((usage.input_tokens or 0) + (usage.output_tokens or 0) for usage in billed)
        require(used <= budget + BEYOND * len(billed), used, "tokens were used of", budget)


def _asides(row: Row) -> dict[str, Json]:
    """What models were asked beside the answers, by run."""
    events = [json.loads(row.entries[seq].data) for seq in range(row.next_seq)]
    asked = [event.get("titled") or event.get("asked") for event in events if event["type"] in _BESIDE]
    return {one["run"]: one for one in asked if one is not None}


def _runs(row: Row) -> dict[str, Json]:
    """What the log says of each run: its model, the last usage, how many pieces there were, how it ended."""
    runs: dict[str, Json] = {}
    for seq in range(row.next_seq):
        event = json.loads(row.entries[seq].data)
        match event["type"]:
            case "run.started":
                runs[event["run"]] = {
                    "model": event["model"],
                    "usage": None,
                    "pieces": 0,
                    "end": None,
                    "generations": 1,
                }
            case "part.delta" | "part.added":
                runs[event["run"]]["pieces"] += event.get("tokens", 0)
            case "generation.started":
                runs[event["run"]]["generations"] += 1
            case "usage":
                runs[event["run"]]["usage"] = event["usage"]
            case kind if kind in ENDS:
                runs[event["run"]]["end"] = kind
            case _:
                pass
    return runs


def _cost(told: Json) -> int | None:
    """Worked out anew: a token of input costs one nano-dollar and a half, one of output two, where there is a price."""
    if told["model"].partition(":")[0] not in PRICES:
        return None
    usage = told["usage"]
    return int(3 * usage["input_tokens"] + 4 * usage["output_tokens"] + 1) // 2
