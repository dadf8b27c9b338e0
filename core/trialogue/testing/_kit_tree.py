"""Store checks: messages as a tree, and a conversation as of one moment."""

from __future__ import annotations

import msgspec
import trio

from trialogue._facts.ids import new_id
from trialogue._facts.values import (
    CitationPart,
    DataPart,
    Failure,
    FilePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Usage,
)
from trialogue._search.search import SearchQuery
from trialogue._storage.store import MessageView, Store
from trialogue.testing._kit_making import StoreCheck, Talk, begin, checks_in, minutes

TREE_CHECKS: list[StoreCheck] = []
check = checks_in(TREE_CHECKS)


@check
async def message_comes_back_as_it_was(store: Store) -> None:
    talk = await begin(store)
    parts = (
        TextPart("Grüße 🦉\x00\n"),
        ReasoningPart("hm", "signature"),
        ToolCallPart("c1", "look", '{"a": 1.0}'),
        ToolResultPart("c1", "found", True),
        FilePart("f", "a.png", "image/png"),
        CitationPart("https://example.org", "t", "q"),
        DataPart("n", {"x": [1, 2.5, None]}),
    )
    message = Message(
        id=new_id(),
        conversation=talk.id,
        role="assistant",
        parts=parts,
        created_at=minutes(1.5),
        status="failed",
        model="p:m",
        run="run",
        finish_reason="error",
        usage=Usage("reported", 1, 0, 3),
        failure=Failure("c", "d", True),
        revision=3,
        metadata={"k": "v"},
    )
    await talk.write("message.added", messages=(message,))
    assert await store.message(message.id) == message
    assert await store.message(new_id()) is None


def _to_come(talk: Talk) -> Message:
    return Message(new_id(), talk.id, "user", (TextPart("later"),), talk.header.updated_at)


@check
async def waiting_message_is_not_there_and_its_id_is_taken(store: Store) -> None:
    talk, other = await begin(store), await begin(store)
    message = _to_come(talk)
    assert not await store.taken(message.id)
    await talk.write("inbox.added", waiting=(message.id,))
    assert await store.taken(message.id)
    assert await store.message(message.id) is None
    tree = await store.tree(talk.id, 10)
    assert tree is not None
    assert tree.messages == ()
    # Nobody else gets the id, neither for a message that waits nor for one that does not.
    thief = msgspec.structs.replace(message, conversation=other.id)
    for flush in (other.flush("inbox.added", waiting=(message.id,)), other.flush("message.added", messages=(thief,))):
        assert list(await store.append([flush])) == ["fenced"]
    await talk.write("message.added", messages=(message,))
    assert await store.message(message.id) == message
    await talk.write("message.removed", removed=(message.id,))
    assert await store.taken(message.id)
    await store.purge(talk.id)
    assert not await store.taken(message.id)


@check
async def message_that_waited_stands_after_what_it_answers(store: Store) -> None:
    talk = await begin(store)
    waits = _to_come(talk)
    await talk.write("inbox.added", waiting=(waits.id,))
    answer = await talk.say("an answer that was being written meanwhile", role="assistant")
    await talk.write("message.added", messages=(msgspec.structs.replace(waits, parent=answer.id),))
    tree = await store.tree(talk.id, 10)
    assert tree is not None
    assert [message.id for message in tree.messages] == [answer.id, waits.id]


@check
async def message_waits_and_comes_in_one_flush(store: Store) -> None:
    talk = await begin(store)
    message = _to_come(talk)
    await talk.write("message.added", messages=(message,), waiting=(message.id,))
    assert await store.message(message.id) == message


@check
async def message_is_replaced_whole(store: Store) -> None:
    talk = await begin(store)
    message = await talk.say("unfinished", role="assistant")
    revised = msgspec.structs.replace(message, parts=(TextPart("complete"),), revision=1)
    await talk.write("message.revised", messages=(revised,))
    assert await store.message(message.id) == revised
    assert [hit.id for hit in (await store.index.search("owner", SearchQuery("complete"), 5)).hits] == [message.id]
    assert (await store.index.search("owner", SearchQuery("unfinished"), 5)).hits == ()


@check
async def message_of_another_conversation_is_never_replaced(store: Store) -> None:
    talk, other = await begin(store), await begin(store)
    message = await talk.say("mine")
    stolen = msgspec.structs.replace(message, conversation=other.id, parts=(TextPart("yours"),))
    assert list(await store.append([other.flush("message.added", messages=(stolen,))])) == ["fenced"]
    assert await store.message(message.id) == message


@check
async def view_is_the_end_of_the_active_branch(store: Store) -> None:
    talk = await begin(store)
    said = [await talk.say(f"message {count}") for count in range(6)]
    await talk.write("usage", snapshot=b"state")
    view = await store.view(talk.id, 4)
    assert view is not None
    assert view.messages == tuple(said[2:])
    assert (view.has_more, view.next_seq, view.snapshot) == (True, 8, b"state")
    assert view.header == talk.header
    assert view.siblings == {message.id: (message.id,) for message in said[2:]}
    whole = await store.view(talk.id, 6)
    assert whole is not None
    assert whole.messages == tuple(said)
    assert not whole.has_more


@check
async def view_of_nothing_said_is_empty(store: Store) -> None:
    talk = await begin(store)
    view = await store.view(talk.id, 5)
    assert view is not None
    assert (view.messages, view.siblings, view.has_more, view.snapshot) == ((), {}, False, None)
    assert await store.view(new_id(), 5) is None


@check
async def view_lists_siblings_oldest_first(store: Store) -> None:
    talk = await begin(store)
    question = await talk.say("question")
    answers = [await talk.say(f"answer {count}", parent=question.id, role="assistant") for count in range(3)]
    other = await talk.say("another beginning", parent=None)
    await talk.change(head=answers[1].id)
    view = await store.view(talk.id, 5)
    assert view is not None
    assert view.messages == (question, answers[1])
    assert view.siblings == {
        question.id: (question.id, other.id),
        answers[1].id: tuple(answer.id for answer in answers),
    }


@check
async def message_is_found_with_where_it_stands(store: Store) -> None:
    talk, other = await begin(store), await begin(store)
    root = await talk.say("root")
    left, right = await talk.say("left"), await talk.say("right", parent=root.id)
    beginning = await other.say("another root")
    header = await store.header(talk.id)
    assert header is not None
    assert await store.message_view(right.id) == MessageView(header, right, (left.id, right.id))
    assert await store.message_view(root.id) == MessageView(header, root, (root.id,))
    found = await store.message_view(beginning.id)
    assert found is not None
    assert (found.header.id, found.siblings) == (other.id, (beginning.id,))
    assert await store.message_view(new_id()) is None


@check
async def removed_message_stands_nowhere(store: Store) -> None:
    talk = await begin(store)
    root = await talk.say("root")
    left, right = await talk.say("left"), await talk.say("right", parent=root.id)
    await talk.write("message.removed", removed=(left.id,))
    assert await store.message_view(left.id) is None
    found = await store.message_view(right.id)
    assert found is not None
    assert found.siblings == (right.id,)
    await store.purge(talk.id)
    assert await store.message_view(right.id) is None


@check
async def siblings_are_given_for_what_is_there(store: Store) -> None:
    talk, other = await begin(store), await begin(store)
    root = await talk.say("root")
    left, right = await talk.say("left"), await talk.say("right", parent=root.id)
    asked = [right.id, root.id, new_id()]
    assert await store.siblings(talk.id, asked) == {right.id: (left.id, right.id), root.id: (root.id,)}
    assert await store.siblings(talk.id, []) == {}
    assert await store.siblings(other.id, asked) == {}
    await talk.write("message.removed", removed=(left.id,))
    assert await store.siblings(talk.id, [left.id, right.id]) == {right.id: (right.id,)}


@check
async def view_is_of_one_moment(store: Store) -> None:
    """A writer moves the head with every message; a reader never sees one without the other."""
    talk = await begin(store)
    writing = True

    async def write() -> None:
        nonlocal writing
        for count in range(40):
            await talk.say(f"message {count}")
        writing = False

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        while writing:
            view = await store.view(talk.id, 100)
            assert view is not None
            assert len(view.messages) == view.next_seq - 1
            assert view.header.head == (view.messages[-1].id if view.messages else None)


@check
async def removal_takes_what_hangs_below(store: Store) -> None:
    talk = await begin(store)
    root = await talk.say("root")
    gone = await talk.say("gone owl")
    below = await talk.say("below owl")
    kept = await talk.say("kept", parent=root.id)
    header = msgspec.structs.replace(talk.header, head=kept.id)
    await talk.write("message.removed", header=header, removed=(gone.id,))
    assert [await store.message(message.id) for message in (gone, below)] == [None, None]
    assert list(await store.path(talk.id, below.id, 10)) == []
    assert await store.leaf(talk.id, root.id) == kept.id
    view = await store.view(talk.id, 10)
    assert view is not None
    assert view.siblings[kept.id] == (kept.id,)
    assert (await store.index.search("owner", SearchQuery("owl"), 10)).hits == ()
    assert not await store.is_above(talk.id, root.id, below.id)


@check
async def removed_message_stays_removed(store: Store) -> None:
    """The end of a run may still write the row of an answer that was removed under it."""
    talk = await begin(store)
    message = await talk.say("going", role="assistant")
    await talk.write("message.removed", removed=(message.id,), header=msgspec.structs.replace(talk.header, head=None))
    await talk.write("run.cancelled", messages=(msgspec.structs.replace(message, status="cancelled"),))
    assert await store.message(message.id) is None
    assert (await store.index.search("owner", SearchQuery("going"), 10)).hits == ()


@check
async def message_added_and_removed_in_one_flush_is_gone(store: Store) -> None:
    talk = await begin(store)
    message = Message(new_id(), talk.id, "user", (TextPart("brief"),), minutes(1))
    await talk.write("message.added", "message.removed", messages=(message,), removed=(message.id,))
    assert await store.message(message.id) is None
    assert (await store.index.search("owner", SearchQuery("brief"), 10)).hits == ()


@check
async def path_is_the_leaf_and_what_is_above(store: Store) -> None:
    talk, other = await begin(store), await begin(store)
    said = [await talk.say(f"message {count}") for count in range(5)]
    await talk.say("a branch", parent=said[1].id)
    assert list(await store.path(talk.id, said[3].id, 10)) == said[:4]
    assert list(await store.path(talk.id, said[3].id, 2)) == said[2:4]
    assert list(await store.path(talk.id, new_id(), 2)) == []
    assert list(await store.path(other.id, said[3].id, 2)) == []


@check
async def above_means_itself_or_an_ancestor(store: Store) -> None:
    talk = await begin(store)
    root = await talk.say("root")
    left = await talk.say("left")
    leaf = await talk.say("leaf")
    right = await talk.say("right", parent=root.id)
    above = [await store.is_above(talk.id, message.id, leaf.id) for message in (root, left, leaf, right)]
    assert above == [True, True, True, False]
    assert not await store.is_above(talk.id, leaf.id, root.id)
    assert not await store.is_above(talk.id, new_id(), leaf.id)


@check
async def leaf_follows_the_newest_child(store: Store) -> None:
    talk = await begin(store)
    root = await talk.say("root")
    old = await talk.say("old")
    await talk.say("below old")
    new = await talk.say("new", parent=root.id)
    deep = await talk.say("below new")
    await talk.write("message.revised", messages=(msgspec.structs.replace(old, revision=1),))
    assert await store.leaf(talk.id, root.id) == deep.id
    assert await store.leaf(talk.id, new.id) == deep.id
    assert await store.leaf(talk.id, deep.id) == deep.id
    unknown = new_id()
    assert await store.leaf(talk.id, unknown) == unknown
