"""What the core is allowed: every bound in one place, each with the reason for its default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from trialogue._asking.asking import AskingLimits


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one node. Times in seconds, sizes in bytes or in Unicode code points as said."""

    #: Tokens joined into one delta event.
    buffer_tokens: int = 5
    #: A stream is read at most once per window: what has arrived meanwhile is taken together. 0 reads at once.
    window: float = 0.05
    #: Silence of a provider within an answer after which a run fails; before the first piece it is ``asking.first_token``.
    stall: float = 60.0
    #: How providers are asked.
    asking: AskingLimits = AskingLimits()
    #: By model, those that are asked in its place when it fails, in this order.
    fallbacks: Mapping[str, Sequence[str]] = {}
    #: How often an answer that failed is gone on with, by the same model or another one; each may cost what the first did.
    failovers: int = 2
    #: Length of a run in time and in code points of its answer: a model that never ends is ended here.
    run_seconds: float = 600.0
    run_characters: int = 1_000_000
    #: Bytes a conversation may have waiting for the store before its provider is no longer read.
    pending_bytes: int = 1_048_576
    #: Commands waiting in one mailbox: more than any client sends, few enough to answer when we stop.
    mailbox: int = 256
    #: Messages that may wait in one conversation for their turn, and their bytes as JSON but for the first: each of its
    #: snapshots holds them.
    inbox: int = 100
    inbox_bytes: int = 4_194_304
    #: Conversations of one user that are awake at a time; some 60 KB each.
    awake: int = 1_000
    #: Idle time after which an activation is dropped; the next command brings it back in two store calls.
    idle: float = 120.0
    #: How long the deltas of a finished run stay for readers that resume; then its message holds the text.
    retention: float = 86_400.0
    #: What becomes of a run whose process is gone: ``continue`` from the text it left, where the model can; or ``end``.
    recovery: Literal["continue", "end"] = "continue"
    #: Messages a conversation may begin with, forked or imported: they are written in one transaction.
    history: int = 10_000
    #: Bytes of messages, as they are stored, that a fork may begin with: all of them are in memory while it is made.
    history_bytes: int = 16 * 1024 * 1024
    #: How long a conversation stays in the trash after it was last changed.
    trash: float = 30 * 86_400.0
    #: How long an entry of the audit log is kept.
    audit: float = 365 * 86_400.0
    #: How long an invitation is kept after it was used, or ended.
    invitations: float = 30 * 86_400.0
    #: Calls of the model in one run with tools; in the last one it is told to do without them.
    generations: int = 24
    #: Tool calls that one response may ask for.
    tool_calls: int = 32
    #: Length of a call's arguments and of its result, in code points: more than a model can use of either.
    tool_arguments: int = 100_000
    tool_output: int = 100_000
    #: Pictures and other files that one call may return, and what they may take together, in bytes.
    tool_files: int = 8
    tool_file_bytes: int = 16 * 1024 * 1024
    #: How long a tool may take; one that says less has less.
    tool_seconds: float = 120.0
    #: Bytes of the JSON Schema of an answer, which is stored with every run that has one; and how long one check may take.
    answer_schema_bytes: int = 32_768
    answer_schema_seconds: int = 5
    #: The model that is asked for a conversation's title, or ``same`` for the one that answers; nobody, when it is empty.
    titles: str = ""
    #: The model that is asked to sum up the older part of a long branch, or ``same``; nobody, when it is empty.
    summaries: str = "same"
    #: How full of history a request is when that is wanted, and how long a summary may be, in tokens.
    summary_share: float = 0.8
    summary_tokens: int = 1_000
    #: How long a person has to decide about a tool call.
    approval: float = 86_400.0
    #: Share of a model's context that history may fill; the rest is for the answer.
    context_share: float = 0.75
    #: How long an answer waits for a file that is still being read.
    file_patience: float = 20.0
    #: Crashes of one conversation's actor within ``crash_period`` before it is parked.
    crashes: int = 3
    crash_period: float = 30.0
    #: How long, while stopping, the last flushes may take.
    last_flush: float = 5.0
