"""What much talk looks like to an index: few words that stand nearly everywhere, many that hardly stand anywhere.

Made from a seed, so that each run looks through the same.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from trialogue import Beginning, Conversation, Message, TextPart, new_id

#: Words of all talk together, of one message, and messages of one conversation.
VOCABULARY = 50_000
WORDS = (5, 50)
MESSAGES = 10
#: Of a known frequency: in half of all messages, in three of ten, and in one of ten thousand.
COMMON, OFTEN, RARE = "common", "often", "rarity"
BEGAN = datetime(2025, 1, 1, tzinfo=UTC)


def conversations(owner: str, count: int) -> Iterator[Beginning]:
    """So many conversations, one an hour or so, in which user and model talk by turns."""
    choose = random.Random(7)
    words = ["".join(choose.choices("abcdefghijklmnopqrstuvwxyz", k=choose.randint(3, 9))) for _ in range(VOCABULARY)]
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(VOCABULARY)))
    for number in range(count):
        at = BEGAN + timedelta(minutes=5 * number)
        header = Conversation(new_id(), owner, at, at, title=" ".join(choose.choices(words, cum_weights=weights, k=4)))
        messages: list[Message] = []
        for place in range(MESSAGES):
            text = _text(choose, choose.choices(words, cum_weights=weights, k=choose.randint(*WORDS)))
            parent = messages[-1].id if messages else None
            answer = place % 2 == 1
            model = f"bench:model-{number % 3}" if answer else None
            role = "assistant" if answer else "user"
            at += timedelta(seconds=10)
            messages.append(Message(new_id(), header.id, role, (TextPart(text),), at, parent, model=model))
        yield Beginning(
            Conversation(header.id, owner, header.created_at, at, header.title, head=messages[-1].id), tuple(messages)
        )


def _text(choose: random.Random, words: list[str]) -> str:
    for word, share in ((COMMON, 0.5), (OFTEN, 0.3), (RARE, 0.0001)):
        if choose.random() < share:
            words.insert(choose.randrange(len(words)), word)
    return " ".join(words).capitalize() + "."
