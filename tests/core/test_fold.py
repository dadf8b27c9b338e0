"""The pure core under random use: whatever is decided and written, folding the log gives what was shown, from any prefix."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from support import NOW, Reader, fold

from trialogue import (
    AddMessages,
    Answer,
    AnswerApproval,
    ApprovalAsked,
    CitationPiece,
    Command,
    ContinueAnswer,
    ConversationCreated,
    CreateConversation,
    EditMessage,
    Event,
    ExpireApprovals,
    GenerationStarted,
    Known,
    LiveRun,
    Message,
    MessageAdded,
    MessageRemoved,
    MessageRevised,
    OpenCall,
    Part,
    PartAdded,
    PostMessage,
    ReasoningPart,
    ReasoningPiece,
    Recover,
    Regenerate,
    RemoveMessage,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunIncomplete,
    RunStarted,
    State,
    Stop,
    TextPart,
    TextPiece,
    ToolCalled,
    ToolCallPart,
    ToolCallPiece,
    ToolResultPart,
    ToolReturned,
    TrialogueError,
    UpdateConversation,
    Usage,
    UsagePiece,
    begin,
    decide,
    decode_event,
    encode_event,
    evolve,
    fold_answer,
    names,
    needs,
    rounds_of,
)
from trialogue._deciding.decide import create
from trialogue._deciding.running import account, counted, finish, returned, write
from trialogue._deciding.saying import advance
from trialogue._deciding.state import decode_state, encode_state

POLICIES = st.sampled_from(["queue", "steer", "interrupt", "latest", "reject"])
TEXTS = st.text(max_size=12)
PIECES = st.one_of(
    TEXTS.map(TextPiece),
    TEXTS.map(ReasoningPiece),
    TEXTS.map(lambda text: ReasoningPiece(text, "seal")),
    st.integers(0, 9).map(lambda count: UsagePiece(Usage("reported", output_tokens=count))),
    TEXTS.map(lambda text: ToolCallPiece("look", text)),
    TEXTS.map(CitationPiece),
)
ACTIONS = st.one_of(
    st.tuples(st.just("post"), POLICIES, st.booleans(), st.integers(0, 20)),
    st.tuples(st.just("edit"), st.integers(0, 20), st.booleans()),
    st.tuples(st.just("regenerate"), st.integers(0, 20)),
    st.tuples(st.just("continue"), st.integers(0, 20)),
    st.tuples(st.just("remove"), st.integers(0, 20)),
    st.tuples(st.just("add"), st.integers(0, 20), st.booleans()),
    st.tuples(st.just("head"), st.integers(0, 20)),
    st.tuples(st.just("trash"), st.booleans()),
    st.tuples(st.just("stop")),
    st.tuples(st.just("recover"), st.booleans()),
    st.tuples(st.just("write"), st.lists(PIECES, max_size=12)),
    st.tuples(st.just("call"), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("decide"), st.integers(0, 3), st.sampled_from(["approve", "deny", "edit", "expire"])),
    st.tuples(st.just("generate")),
    st.tuples(st.just("finish"), st.sampled_from(["stop", "length", "content_filter"])),
)


LATER = NOW + timedelta(hours=1)
CALLS = [ToolCallPart(name, "look", "{}") for name in "abc"]
RESULTS = [ToolResultPart(name, "found") for name in "abcd"]


@dataclass
class World:
    """The core driven by hand, with the rows a store would hold."""

    state: State
    log: list[Event]
    counter: int = 0
    told: dict[str, str] = field(default_factory=dict)

    def fresh(self) -> str:
        self.counter += 1
        return f"id{self.counter}"

    def take(self, events: list[Event] | tuple[Event, ...]) -> None:
        for event in events:
            # What is stored is what is shown: everything goes through its encoding.
            self.log.append(decode_event(encode_event(event)))
            self.state = evolve(self.state, event)

    def rows(self) -> dict[str, Message]:
        answers: dict[str, Answer] = {}
        for event in self.log:
            match event:
                case MessageAdded(message) | MessageRevised(message):
                    answers[message.id] = Answer(message)
                case MessageRemoved(message):
                    for gone in below({name: one.message() for name, one in answers.items()}, message):
                        del answers[gone]
                case _ if (name := getattr(event, "message", None)) in answers:
                    answers[name].apply(event)
                case _:
                    pass
        return {name: answer.message() for name, answer in answers.items()}

    def known(self, command: Command) -> Known:
        rows = self.rows()
        above: set[str] = set()
        place = self.state.header.head
        while place is not None and place in rows:
            above.add(place)
            place = rows[place].parent
        taken = frozenset(name for name in names(command) if name in rows)
        return Known({name: rows[name] for name in needs(command) if name in rows}, frozenset(above), taken=taken)

    def pick(self, number: int) -> str:
        there = [*self.rows(), *(queued.message.id for queued in self.state.inbox)]
        return there[number % len(there)] if there else "nobody"


def below(rows: dict[str, Message], root: str) -> list[str]:
    found = [root] if root in rows else []
    for name, row in list(rows.items()):
        if row.parent == root:
            found += below(rows, name)
    return found


def command_of(world: World, action: tuple[Any, ...]) -> Command:
    fresh = world.fresh
    parts = (TextPart(f"text {world.counter}"),)
    match action:
        case ("post", policy, respond, parent):
            place = world.pick(parent) if parent > 15 and world.rows() else msgspec.UNSET
            return PostMessage(
                fresh(), NOW, fresh(), fresh(), fresh(), parts, "m:m", parent=place, policy=policy, respond=respond
            )
        case ("edit", number, respond):
            return EditMessage(
                fresh(), NOW, world.pick(number), fresh(), fresh(), fresh(), parts, "m:m", respond=respond
            )
        case ("regenerate", number):
            return Regenerate(fresh(), NOW, world.pick(number), fresh(), fresh(), "m:m")
        case ("continue", number):
            return ContinueAnswer(fresh(), NOW, world.pick(number), fresh(), "m:m")
        case ("add", number, follow):
            parent = world.pick(number) if world.rows() else None
            first = Message(fresh(), "c", "user", parts, NOW, parent)
            second = Message(fresh(), "c", "assistant", parts, NOW, first.id)
            return AddMessages(fresh(), NOW, (first, second), second.id if follow else None, world.state.header.head)
        case ("remove", number):
            return RemoveMessage(fresh(), NOW, world.pick(number))
        case ("head", number):
            return UpdateConversation(fresh(), NOW, head=world.pick(number))
        case ("trash", deleted):
            return UpdateConversation(fresh(), NOW, deleted=deleted)
        case ("decide", number, decision):
            calls = world.state.run.steps.calls if world.state.run else ()
            call = calls[number % len(calls)].call if calls else "nobody-0"
            if decision == "expire":
                return ExpireApprovals(fresh(), LATER)
            return AnswerApproval(fresh(), NOW, call, decision, "{}" if decision == "edit" else None)
        case ("recover", resume):
            return Recover(fresh(), NOW, fresh(), resume)
        case _:
            return Stop(fresh(), NOW)


def act(world: World, action: tuple[Any, ...]) -> None:
    run = world.state.run
    match action:
        case ("write", pieces):
            if run is not None and all(call.state == "new" for call in run.steps.calls):
                world.take(write(run, pieces, 5))
        case ("call", number, asks):
            if run is not None and run.steps.calls and run.open_kind is None:
                world.take([moved(run, run.steps.calls[number % len(run.steps.calls)], asks=asks)])
        case ("generate",):
            if run is not None and run.between and not run.steps.calls:
                world.take(account(run, 3))
                run = world.state.run or run
                number = run.steps.generation + 1
                world.take([GenerationStarted(run.run, run.message, number, NOW, counted(run, 3))])
        case ("finish", reason):
            if run is not None:
                world.take(finish(run, reason, NOW))
                world.take(list(advance(world.state, NOW)))
        case _:
            command = command_of(world, action)
            try:
                decision = decide(world.state, command, world.known(command))
            except TrialogueError:
                return
            world.take(decision.events)
            assert decision.receipt.seq < world.state.next_seq


def moved(run: LiveRun, call: OpenCall, *, asks: bool) -> Event:
    """What happens next to an open call, other than that a person decides."""
    match call.state:
        case "new" if asks:
            return ApprovalAsked(run.run, run.message, call.call, NOW, LATER)
        case "new" | "approved":
            return ToolCalled(run.run, run.message, call.call, call.name, NOW, idempotent=asks)
        case "called" | "asked":
            return returned(run, call.call, "found", NOW)


def played(actions: list[tuple[Any, ...]]) -> World:
    created = create(CreateConversation("c", "ann", NOW))
    world = World(begin(created), [created])
    for action in actions:
        act(world, action)
    return world


def consistent(reader: Reader, state: State) -> None:
    assert reader.live == (state.run.run if state.run else None)
    assert reader.head == state.header.head
    assert reader.waiting == [queued.message.id for queued in state.inbox]
    for run, ends in reader.ends.items():
        assert len(ends) == (0 if run == reader.live else 1)
    if state.run is not None:
        assert len(reader.parts[state.run.message]) == state.run.parts
        if state.run.open_kind:
            assert len(reader.parts[state.run.message][-1]) == state.run.length


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_every_prefix_of_the_log_folds_to_what_was_shown(actions: list[tuple[Any, ...]]) -> None:
    world = played(actions)
    reader = Reader()
    state: State | None = None
    for event in world.log:
        reader.see(event)
        state = begin(event) if isinstance(event, ConversationCreated) else evolve(state, event)  # type: ignore[arg-type]
        consistent(reader, state)
    assert state == world.state


@settings(max_examples=75, deadline=None)
@given(st.lists(ACTIONS, max_size=25), st.integers(0, 200))
def test_a_snapshot_and_the_rest_fold_to_the_same(actions: list[tuple[Any, ...]], place: int) -> None:
    world = played(actions)
    place = min(place, len(world.log) - 1)
    state: State = begin(world.log[0])  # type: ignore[arg-type]
    for event in world.log[1 : place + 1]:
        state = evolve(state, event)
    state = decode_state(encode_state(state))
    for event in world.log[place + 1 :]:
        state = evolve(state, event)
    assert state == world.state


@settings(max_examples=75, deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_rows_hold_what_readers_saw(actions: list[tuple[Any, ...]]) -> None:
    world = played(actions)
    reader = fold(world.log)
    rows = world.rows()
    assert set(rows) == set(reader.messages)
    for name, row in rows.items():
        texts = [part.text if isinstance(part, TextPart | ReasoningPart) else "" for part in row.parts]
        assert texts == reader.parts[name]


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_each_call_has_one_result_before_its_answer_is_over(actions: list[tuple[Any, ...]]) -> None:
    world = played(actions)
    calls: set[str] = set()  # Those without a result.
    for event in world.log:
        match event:
            case PartAdded(content=ToolCallPart() as part):
                assert part.call not in calls
                calls.add(part.call)
            case ToolReturned():
                calls.remove(event.call)
            case RunStarted():
                assert {call.call for call in event.calls} == calls, "they are gone on with"
            case RunCompleted() | RunIncomplete() | RunFailed() | RunCancelled():
                assert not calls
            case _:
                pass
    run = world.state.run
    assert calls == (set() if run is None else {call.call for call in run.steps.calls})
    for row in world.rows().values():
        if row.role == "assistant" and row.status != "in_progress":
            parts = [part for part in row.parts if isinstance(part, ToolCallPart | ToolResultPart)]
            assert len(parts) == 2 * sum(isinstance(part, ToolCallPart) for part in parts)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([TextPart("a"), *CALLS, *RESULTS]), max_size=12))
def test_rounds_are_what_upstreams_take(parts: list[Part]) -> None:
    """Whatever stands in an answer: each call is shown once, and has its result right behind it."""
    rounds = rounds_of(parts)
    shown: list[str] = []
    for place, (said, results) in enumerate(rounds):
        calls = [part.call for part in said if isinstance(part, ToolCallPart)]
        assert [result.call for result in results] == calls
        assert calls or place == len(rounds) - 1
        assert not any(isinstance(part, ToolResultPart) for part in said)
        shown += calls
    assert len(shown) == len(set(shown))
    assert set(shown) == {part.call for part in parts if isinstance(part, ToolCallPart)}
    texts = [part for said, _ in rounds for part in said if isinstance(part, TextPart)]
    assert texts == [part for part in parts if isinstance(part, TextPart)]


@settings(max_examples=50, deadline=None)
@given(st.lists(ACTIONS, max_size=20))
def test_applying_every_event_of_an_answer_twice_changes_nothing(actions: list[tuple[Any, ...]]) -> None:
    world = played(actions)
    twice = [event for event in world.log for _ in range(2)]
    for event in world.log:
        if isinstance(event, MessageAdded) and event.message.role == "assistant":
            once = fold_answer(event.message, world.log).message()
            assert fold_answer(event.message, twice).message().parts == once.parts


def test_a_signature_ends_its_thought_and_stays_with_it() -> None:
    world = played([("post", "queue", True, 0)])
    pieces = [
        ReasoningPiece("a"),
        ReasoningPiece("b", "1"),
        ReasoningPiece("", "2"),
        ReasoningPiece("c"),
        TextPiece("d"),
    ]
    act(world, ("write", pieces))
    act(world, ("finish", "stop"))
    (answer,) = [row for row in world.rows().values() if row.role == "assistant"]
    assert answer.parts == (ReasoningPart("ab", "1"), ReasoningPart("", "2"), ReasoningPart("c"), TextPart("d"))
