"""What each command does, and when it is refused. The random use of all of them is in ``test_fold``."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from support import NOW

from trialogue import (
    Command,
    ConflictError,
    ContinueAnswer,
    CreateConversation,
    EditMessage,
    Event,
    InvalidError,
    Known,
    LimitError,
    Message,
    NotFoundError,
    PostMessage,
    Recover,
    Regenerate,
    RemoveMessage,
    State,
    Status,
    Stop,
    TextPart,
    UpdateConversation,
    begin,
    decide,
    event_type,
    evolve,
)
from trialogue._deciding.changing import leaves
from trialogue._deciding.decide import create

HELLO = (TextPart("hello"),)
USER = Message("u1", "c", "user", HELLO, NOW)


def answer(status: Status = "completed") -> Message:
    return Message("a1", "c", "assistant", HELLO, NOW, parent="u1", status=status)


def after(state: State, events: Sequence[Event]) -> State:
    for event in events:
        state = evolve(state, event)
    return state


def fresh() -> State:
    return begin(create(CreateConversation("c", "ann", NOW)))


def post(number: int = 1, **changes: object) -> PostMessage:
    command = PostMessage(f"p{number}", NOW, f"u{number}", f"r{number}", f"a{number}", HELLO, "m:m")
    return replace(command, **changes)


def answering() -> State:
    """Message u1 is being answered by a1 in run r1."""
    state = fresh()
    return after(state, decide(state, post(), Known()).events)


def settled() -> State:
    """The answer a1 was cut off, and nothing is live."""
    state = answering()
    return after(state, decide(state, Stop("s", NOW), Known()).events)


def types(state: State, command: Command, known: Known | None = None) -> list[str]:
    return [event_type(event) for event in decide(state, command, known or Known()).events]


def test_post_starts_an_answer_and_gives_a_title() -> None:
    assert types(fresh(), post()) == ["message.added", "conversation.updated", "message.added", "run.started"]
    assert answering().header.title == "hello"
    assert answering().header.head == "a1"


def test_title_is_one_short_line() -> None:
    state = fresh()
    decision = decide(state, post(parts=(TextPart("  a\n\tb " + "c" * 100),)), Known())
    title = after(state, decision.events).header.title
    assert title is not None
    assert title.startswith("a b ccc")
    assert title.endswith("…")
    assert len(title) == 60


def test_title_that_was_given_stays() -> None:
    state = begin(create(CreateConversation("c", "ann", NOW, title="mine")))
    assert after(state, decide(state, post(), Known()).events).header.title == "mine"


def test_post_without_an_answer_only_adds_the_message() -> None:
    assert types(fresh(), post(respond=False)) == ["message.added", "conversation.updated"]


def test_message_that_waits_and_is_not_answered_promises_no_answer() -> None:
    receipt = decide(answering(), post(2, respond=False), Known()).receipt
    assert (receipt.message, receipt.queued, receipt.run, receipt.answer) == ("u2", True, None, None)


def test_inbox_is_bounded() -> None:
    state = answering()
    for number in range(2, Known().inbox + 2):
        state = after(state, decide(state, post(number), Known()).events)
    with pytest.raises(LimitError, match="inbox_messages"):
        decide(state, post(1000), Known())
    assert len(state.inbox) == Known().inbox
    assert decide(state, post(1000), Known(inbox=Known().inbox + 1)).receipt.queued


def test_inbox_is_bounded_in_bytes_but_for_the_first() -> None:
    state, large = answering(), (TextPart("x" * (Known().inbox_bytes // 2)),)
    state = after(state, decide(state, post(2, parts=(TextPart("x" * Known().inbox_bytes),)), Known()).events)
    with pytest.raises(LimitError):
        decide(state, post(3), Known())
    state = after(state, decide(state, RemoveMessage("x", NOW, "u2"), Known()).events)
    state = after(state, decide(state, post(4, parts=large), Known()).events)
    state = after(state, decide(state, post(5), Known()).events)
    with pytest.raises(LimitError):
        decide(state, post(6, parts=large), Known())


def test_waiting_message_can_be_taken_back() -> None:
    state = answering()
    state = after(state, decide(state, post(2), Known()).events)
    assert types(state, RemoveMessage("x", NOW, "u2")) == ["inbox.removed"]


def test_stopping_takes_the_next_waiting_message() -> None:
    state = answering()
    state = after(state, decide(state, post(2), Known()).events)
    assert types(state, Stop("s", NOW)) == [
        "usage", "run.cancelled", "inbox.removed", "message.added", "message.added", "run.started",
    ]  # fmt: skip


def test_stop_of_another_run_does_nothing() -> None:
    assert types(answering(), Stop("s", NOW, run="other")) == []
    assert types(fresh(), Stop("s", NOW)) == []


def test_editing_a_question_makes_a_sibling_and_a_new_answer() -> None:
    command = EditMessage("e", NOW, "u1", "u9", "r9", "a9", (TextPart("other"),), "m:m")
    known = Known({"u1": USER}, frozenset({"u1"}))
    assert types(settled(), command, known) == ["message.added", "message.added", "run.started"]
    assert types(answering(), command, known)[:2] == ["usage", "run.cancelled"]
    assert types(answering(), replace(command, respond=False), known) == ["message.added"]


def test_editing_an_answer_revises_it_in_place() -> None:
    command = EditMessage("e", NOW, "a1", "x", "r9", "a9", (TextPart("other"),), "m:m")
    assert types(settled(), command, Known({"a1": answer()})) == ["message.revised"]
    with pytest.raises(ConflictError, match="stop it first"):
        decide(answering(), command, Known({"a1": answer("in_progress")}))


def test_regenerating_puts_an_answer_beside_the_old_one() -> None:
    state = settled()
    decision = decide(state, Regenerate("g", NOW, "a1", "r9", "a9", "m:m"), Known({"a1": answer()}))
    assert [event_type(event) for event in decision.events] == ["message.added", "run.started"]
    added = decision.events[0]
    assert added.message.parent == "u1"  # type: ignore[union-attr]
    orphan = replace(answer(), parent=None)
    with pytest.raises(InvalidError):
        decide(state, Regenerate("g", NOW, "a1", "r9", "a9", "m:m"), Known({"a1": orphan}))


def test_only_the_unfinished_end_of_the_branch_is_continued() -> None:
    command = ContinueAnswer("k", NOW, "a1", "r9", "m:m")
    assert types(settled(), command, Known({"a1": answer("cancelled")})) == ["run.started"]
    for state, row in [
        (settled(), answer("completed")),
        (answering(), answer("in_progress")),
        (replace(settled(), header=replace(settled().header, head="u1")), answer("cancelled")),
    ]:
        with pytest.raises(ConflictError):
            decide(state, command, Known({"a1": row}))
    with pytest.raises(InvalidError):
        decide(settled(), replace(command, target="u1"), Known({"u1": USER}))


def test_removing_moves_the_head_up_and_ends_what_is_written_below() -> None:
    known = Known({"u1": USER}, frozenset({"a1"}))
    assert types(answering(), RemoveMessage("d", NOW, "u1"), known) == ["usage", "run.cancelled", "message.removed"]
    state = settled()
    assert after(state, decide(state, RemoveMessage("d", NOW, "u1"), known).events).header.head is None
    aside = Known({"u1": USER})
    assert after(state, decide(state, RemoveMessage("d", NOW, "u1"), aside).events).header.head == "a1"


def test_removing_another_branch_ends_the_run_that_writes_there_and_takes_back_what_waits_there() -> None:
    state = answering()
    state = replace(state, header=replace(state.header, head="elsewhere"))
    state = after(state, decide(state, post(2, parent="a1"), Known({"a1": answer("in_progress")})).events)
    assert set(leaves(state)) == {"elsewhere", "a1"}
    known = Known({"u1": USER}, frozenset({"a1"}))
    decision = decide(state, RemoveMessage("d", NOW, "u1"), known)
    told = ["usage", "run.cancelled", "inbox.removed", "message.removed"]
    assert [event_type(event) for event in decision.events] == told
    assert after(state, decision.events).header.head == "elsewhere"


def test_update_tells_only_what_changes() -> None:
    state = fresh()
    assert types(state, UpdateConversation("x", NOW, title=None, archived=False)) == []
    assert types(state, UpdateConversation("x", NOW, title="t", pinned=True)) == ["conversation.updated"]


def test_head_moves_only_to_what_is_there() -> None:
    assert types(settled(), UpdateConversation("x", NOW, head="u1"), Known({"u1": USER})) == ["head.moved"]
    with pytest.raises(NotFoundError):
        decide(settled(), UpdateConversation("x", NOW, head="u1"), Known())
    with pytest.raises(NotFoundError):
        decide(settled(), UpdateConversation("x", NOW, head="u1"), Known({"u1": replace(USER, conversation="other")}))


def test_trash_ends_what_goes_on_and_takes_nothing_new() -> None:
    state = answering()
    state = after(state, decide(state, post(2), Known()).events)
    command = UpdateConversation("x", NOW, deleted=True)
    assert types(state, command) == ["usage", "run.cancelled", "inbox.removed", "conversation.updated"]
    state = after(state, decide(state, command, Known()).events)
    with pytest.raises(ConflictError, match="restore"):
        decide(state, post(3), Known())
    assert types(state, UpdateConversation("y", NOW, deleted=False)) == ["conversation.updated"]


def test_recovery_closes_the_run_and_may_go_on() -> None:
    assert types(answering(), Recover("x", NOW, "r2", resume=False)) == ["usage", "run.interrupted"]
    assert types(answering(), Recover("x", NOW, "r2", resume=True)) == ["usage", "run.interrupted", "run.started"]
    assert types(settled(), Recover("x", NOW, "r2", resume=True)) == []


def test_receipt_names_the_commands_events() -> None:
    state = fresh()
    receipt = decide(state, post(), Known()).receipt
    assert (receipt.first, receipt.seq) == (1, 4)
    assert (receipt.message, receipt.run, receipt.answer) == ("u1", "r1", "a1")
