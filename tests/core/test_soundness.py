"""What does not agree in the rows of a store is found, and what may be lacking is not complained of."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from trialogue import (
    ConversationRecord,
    EntryRecord,
    Finding,
    MessageRecord,
    Record,
    Soundness,
    new_id,
)
from trialogue._facts.values import Conversation
from trialogue.testing._kit_making import BEGAN

NAME = new_id()
LOG = ConversationRecord(Conversation(NAME, "owner", BEGAN, BEGAN), "node", 2, 4, 1, 0, False, None, 0)
ENTRIES = [EntryRecord(NAME, seq, 1 + seq // 2, "message.added", "{}") for seq in range(4)]


def found(*records: Record) -> list[Finding]:
    soundness = Soundness()
    soundness.take(records)
    return list(soundness.findings())


def test_sound_rows_are_said_to_be() -> None:
    (finding,) = found(LOG, *ENTRIES, MessageRecord("a", NAME, None, None), MessageRecord("b", NAME, "a", None))
    assert (finding.state, finding.detail) == ("right", "7 rows agree with one another")


@pytest.mark.parametrize("floor", [2, 4])
def test_what_was_pruned_is_no_hole(floor: int) -> None:
    pruned = ENTRIES[:1] + ([] if floor == 4 else ENTRIES[2:])
    (finding,) = found(replace(LOG, floor=floor), *pruned)
    assert finding.state == "right"


Damage = Callable[[], list[Record]]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda: [LOG, *ENTRIES[:1], *ENTRIES[2:]], "logs with a hole: 1"),
        (lambda: [LOG, *ENTRIES[:3]], "logs that end too early or too late: 1"),
        (lambda: [replace(LOG, next_seq=3), *ENTRIES], "logs that end too early or too late: 1"),
        (lambda: [LOG, *ENTRIES[:3], replace(ENTRIES[3], epoch=1)], "logs whose epoch falls: 1"),
        (lambda: [LOG], "conversations without a log: 1"),
        (lambda: [ENTRIES[0]], "entries without their conversation: 1"),
        (lambda: [LOG, *ENTRIES, MessageRecord("b", NAME, "a", None)], "messages below one that is not there: 1"),
        (lambda: [MessageRecord("b", NAME, None, None)], "messages without their conversation: 1"),
    ],
)
def test_damage_is_found(damage: Damage, words: str) -> None:
    (finding,) = found(*damage())
    assert finding.state == "wrong"
    assert finding.detail.startswith(words)
