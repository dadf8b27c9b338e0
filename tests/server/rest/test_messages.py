"""What is said, over HTTP: posting and its repeats, editing, other attempts, going on, stopping, and older pages."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import trio
from rest import Server, read_events, serve

from trialogue import is_id, new_id
from trialogue.testing import Fail, ScriptedProvider

ENDS = ("run.completed", "run.incomplete", "run.failed", "run.cancelled")


async def make(client: httpx2.AsyncClient, **body: Any) -> str:
    """A new conversation's address."""
    answer = await client.post("/api/conversations", json=body)
    assert answer.status_code == 201
    return answer.headers["location"]


async def say(client: httpx2.AsyncClient, url: str, text: str, **body: Any) -> dict[str, Any]:
    """Post, and wait until it is answered."""
    answer = await client.post(f"{url}/messages", json={"text": text, **body})
    assert answer.status_code == 202, answer.text
    await read_events(client, answer.headers["location"], *ENDS)
    accepted: dict[str, Any] = answer.json()
    return accepted


async def branch(client: httpx2.AsyncClient, url: str) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = (await client.get(url)).json()["messages"]
    return shown


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return ["".join(part["text"] for part in message["parts"]) for message in messages]


# --- reading one -------------------------------------------------------------------------------------------------


async def test_message_is_read_by_its_id_alone(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    url = await make(ada)
    accepted = await say(ada, url, "Hi")
    again = (await ada.post(f"/api/messages/{accepted['answer']}/regenerate")).json()["answer"]
    for shown in (await ada.get(f"{url}?tree=true")).json()["messages"]:
        assert (await ada.get(f"/api/messages/{shown['id']}")).json()["siblings"] == shown["siblings"]
    found = (await ada.get(f"/api/messages/{accepted['answer']}")).json()
    assert (found["conversation"], found["siblings"]) == (url.rpartition("/")[2], [accepted["answer"], again])
    assert texts([found]) == ["Hello world"]
    await ada.delete(f"/api/messages/{accepted['answer']}")
    for client, name in ((ada, accepted["answer"]), (eve, again), (ada, new_id()), (ada, "x"), (ada, "%00")):
        answer = await client.get(f"/api/messages/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), name


async def test_answer_that_is_being_written_is_read_as_far_as_it_is() -> None:
    async with serve(ScriptedProvider(["Once", trio.Event()])) as server, server.user() as ada:
        url = await make(ada)
        posted = await ada.post(f"{url}/messages", json={"text": "Tell"})
        await read_events(ada, posted.headers["location"], "part.delta")
        found = (await ada.get(f"/api/messages/{posted.json()['answer']}")).json()
        assert found["status"] == "in_progress"
        assert texts([found]) == ["Once"]


# --- posting -----------------------------------------------------------------------------------------------------


async def test_post_is_accepted_and_answered(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    accepted = await say(ada, url, "Hi", metadata={"mood": "good"})
    assert sorted(accepted) == ["answer", "message", "queued", "run", "seq"]
    assert accepted["queued"] is False
    snapshot = (await ada.get(url)).json()
    question, answer = snapshot["messages"]
    assert (question["id"], answer["id"], answer["run"]) == (accepted["message"], accepted["answer"], accepted["run"])
    assert texts(snapshot["messages"]) == ["Hi", "Hello world"]
    assert (question["metadata"], answer["parent"]) == ({"mood": "good"}, question["id"])
    assert question["siblings"] == [question["id"]]
    assert snapshot["run"] is None
    assert snapshot["type"] == "snapshot"


async def test_location_begins_with_the_message(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    await say(ada, url, "first")
    answer = await ada.post(f"{url}/messages", json={"text": "second"})
    events = await read_events(ada, answer.headers["location"], *ENDS)
    assert events[0]["type"] == "message.added"
    assert events[0]["message"]["id"] == answer.json()["message"]


async def test_message_without_answer(ada: httpx2.AsyncClient, server: Server) -> None:
    url = await make(ada)
    answer = await ada.post(f"{url}/messages", json={"text": "note to self", "respond": False})
    assert (answer.status_code, answer.json()["run"], answer.json()["answer"]) == (202, None, None)
    assert texts(await branch(ada, url)) == ["note to self"]
    assert server.provider.requests == []


async def test_parts_are_kept_as_they_are(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    parts = [{"type": "text", "text": "see "}, {"type": "data", "name": "chart", "data": {"x": [1, 2]}}]
    answer = await ada.post(f"{url}/messages", json={"parts": parts, "respond": False})
    assert answer.status_code == 202
    assert (await branch(ada, url))[0]["parts"] == parts


async def test_settings_are_laid_over_the_conversations(ada: httpx2.AsyncClient, server: Server) -> None:
    url = await make(ada, settings={"temperature": 0.5, "seed": 7})
    await say(ada, url, "Hi", settings={"seed": 8})
    settings = server.provider.requests[0].settings
    assert (settings.temperature, settings.seed) == (0.5, 8)


async def test_model_of_the_message_comes_before_the_conversations() -> None:
    provider = ScriptedProvider(["Hello"], models=("a", "b", "c"))
    async with serve(provider) as server, server.user() as ada:
        plain, own = await make(ada), await make(ada, model="scripted:b")
        await say(ada, plain, "Hi")
        await say(ada, own, "Hi")
        await say(ada, own, "Hi", model="scripted:c")
    assert [request.model for request in provider.requests] == ["a", "b", "c"]


@pytest.mark.parametrize("by_key", [True, False], ids=["key", "id"])
async def test_repeat_is_answered_as_the_first_time(ada: httpx2.AsyncClient, server: Server, by_key: bool) -> None:
    url, name = await make(ada), new_id()
    body: dict[str, Any] = {"text": "Hi"} if by_key else {"text": "Hi", "id": name}
    headers = {"Idempotency-Key": name} if by_key else {}
    answers = [await ada.post(f"{url}/messages", json=body, headers=headers) for _ in range(2)]
    await read_events(ada, answers[0].headers["location"], *ENDS)
    answers.append(await ada.post(f"{url}/messages", json=body, headers=headers))
    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.text for answer in answers}) == 1
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert len(await branch(ada, url)) == 2
    assert len(server.provider.requests) == 1
    if not by_key:
        assert answers[0].json()["message"] == name


async def test_repeats_at_the_same_time_are_one_message(ada: httpx2.AsyncClient, server: Server) -> None:
    url, name = await make(ada), new_id()
    answers: list[str] = []

    async def post() -> None:
        answers.append((await ada.post(f"{url}/messages", json={"text": "Hi", "id": name})).text)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(post)
    assert len(set(answers)) == 1
    assert len(await branch(ada, url)) == 2


async def test_key_is_good_for_one_request(ada: httpx2.AsyncClient) -> None:
    url, other = await make(ada), await make(ada)
    headers = {"Idempotency-Key": "k"}

    async def post(where: str, text: str) -> httpx2.Response:
        return await ada.post(f"{where}/messages", json={"text": text, "respond": False}, headers=headers)

    assert (await post(url, "Hi")).status_code == 202
    changed = await post(url, "Ho")
    assert (changed.status_code, changed.json()["code"]) == (422, "invalid")
    assert (await post(other, "Ho")).status_code == 202


async def test_id_is_good_for_one_message(ada: httpx2.AsyncClient) -> None:
    url, name = await make(ada), new_id()
    assert (await ada.post(f"{url}/messages", json={"text": "Hi", "id": name, "respond": False})).status_code == 202
    changed = await ada.post(f"{url}/messages", json={"text": "Ho", "id": name, "respond": False})
    assert (changed.status_code, changed.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("key", ["x" * 256, "tab\tin it"])
async def test_key_that_cannot_be_one_is_refused(ada: httpx2.AsyncClient, key: str) -> None:
    url = await make(ada)
    answer = await ada.post(f"{url}/messages", json={"text": "Hi"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/text"),
        ({"text": ""}, "/text"),
        ({"text": " \n"}, "/text"),
        ({"text": 1}, "/text"),
        ({"parts": []}, "/parts"),
        ({"text": "a", "parts": [{"type": "text", "text": "a"}]}, "/parts"),
        ({"parts": [{"type": "text", "text": "a"}, {"type": "text"}]}, "/parts/1/text"),
        ({"parts": [{"type": "tool_result", "call": "c", "text": "x"}]}, "/parts/0/type"),
        ({"parts": [{"type": "data", "name": "n", "data": 2**64}]}, "/parts"),
        ({"text": "a", "id": "1"}, "/id"),
        ({"text": "a", "parent": 5}, "/parent"),
        ({"text": "a", "policy": "later"}, "/policy"),
        ({"text": "a", "model": "nobody:none"}, "/model"),
        ({"text": "a", "settings": {"max_tokens": 1.5}}, "/settings/max_tokens"),
        ({"text": "a", "respond": "yes"}, "/respond"),
        ({"txet": "a"}, "/txet"),
    ],
)
async def test_post_says_what_is_wrong(ada: httpx2.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    url = await make(ada)
    answer = await ada.post(f"{url}/messages", json=body)
    assert answer.status_code == 422, answer.text
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert await branch(ada, url) == []


async def test_parent_of_another_conversation_is_not_found(ada: httpx2.AsyncClient) -> None:
    url, other = await make(ada), await make(ada)
    elsewhere = await say(ada, other, "Hi")
    answer = await ada.post(f"{url}/messages", json={"text": "Hi", "parent": elsewhere["message"]})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (404, "/parent")


# --- while an answer is being written ----------------------------------------------------------------------------


async def test_post_during_a_run_waits_for_its_turn() -> None:
    more = trio.Event()
    async with serve(ScriptedProvider(["Hello", more, " world"], ["Bye"])) as server, server.user() as ada:
        url = await make(ada)
        first = (await ada.post(f"{url}/messages", json={"text": "one"})).json()
        second = await ada.post(f"{url}/messages", json={"text": "two"})
        assert second.json()["queued"] is True
        waiting = (await ada.get(url)).json()
        assert [queued["message"]["id"] for queued in waiting["inbox"]] == [second.json()["message"]]
        assert waiting["run"]["run"] == first["run"]
        more.set()
        events = await read_events(ada, second.headers["location"], "run.completed", count=2)
        assert events[0]["type"] == "inbox.added"
        assert texts(await branch(ada, url)) == ["one", "Hello world", "two", "Bye"]


async def test_waiting_message_is_taken_back() -> None:
    async with serve(ScriptedProvider(["Hello", trio.Event()])) as server, server.user() as ada:
        url = await make(ada)
        await ada.post(f"{url}/messages", json={"text": "one"})
        queued = (await ada.post(f"{url}/messages", json={"text": "two"})).json()["message"]
        assert (await ada.delete(f"/api/messages/{queued}")).status_code == 404
        params = {"conversation": url.rpartition("/")[2]}
        assert (await ada.delete(f"/api/messages/{queued}", params=params)).status_code == 204
        assert (await ada.get(url)).json()["inbox"] == []


async def test_policy_reject_is_a_conflict_during_a_run() -> None:
    async with serve(ScriptedProvider(["Hello", trio.Event()])) as server, server.user() as ada:
        url = await make(ada)
        await ada.post(f"{url}/messages", json={"text": "one"})
        answer = await ada.post(
            f"{url}/messages", json={"text": "two", "policy": "reject"}, headers={"Idempotency-Key": "k"}
        )
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (409, "/policy")


async def test_stop_answers_when_nothing_of_the_run_is_left() -> None:
    provider = ScriptedProvider(["Hello", trio.Event()])
    async with serve(provider) as server, server.user() as ada:
        url = await make(ada)
        posted = await ada.post(f"{url}/messages", json={"text": "Hi"})
        await read_events(ada, posted.headers["location"], "part.delta")
        answer = await ada.post(f"{url}/stop", json={"run": posted.json()["run"], "seen": "anything"})
        stopped = answer.json()
        assert provider.open_streams == 0
        assert answer.status_code == 200
        assert sorted(stopped) == ["estimated", "ms", "output_tokens", "run", "seq"]
        assert stopped["run"] == posted.json()["run"]
        assert stopped["ms"] >= 0
        events = await read_events(ada, posted.headers["location"], "run.cancelled")
        assert int(events[-1]["id"].rpartition(".")[2]) == stopped["seq"]
        assert (await branch(ada, url))[1]["status"] == "cancelled"


@pytest.mark.parametrize("body", [b"", b"{}"])
async def test_stop_of_an_idle_conversation_changes_nothing(ada: httpx2.AsyncClient, body: bytes) -> None:
    url = await make(ada)
    answer = await ada.post(f"{url}/stop", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["run"], answer.json()["seq"]) == (200, None, 0)


# --- changing what was said --------------------------------------------------------------------------------------


async def test_edited_question_gets_a_sibling_and_a_new_answer(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    first = await say(ada, url, "Hi")
    answer = await ada.patch(f"/api/messages/{first['message']}", json={"text": "Ho"})
    assert answer.status_code == 202
    edited = answer.json()
    await read_events(ada, f"{url}/events", *ENDS, count=0)
    shown = await branch(ada, url)
    assert texts(shown)[0] == "Ho"
    assert shown[0]["siblings"] == [first["message"], edited["message"]]
    # And back: any message of a branch names it.
    moved = await ada.patch(url, json={"head": first["message"]})
    assert moved.json()["head"] == first["answer"]
    assert texts(await branch(ada, url)) == ["Hi", "Hello world"]


async def test_edit_without_regenerating(ada: httpx2.AsyncClient, server: Server) -> None:
    url = await make(ada)
    first = await say(ada, url, "Hi")
    answer = await ada.patch(f"/api/messages/{first['message']}", json={"text": "Ho", "regenerate": False})
    assert (answer.status_code, answer.json()["run"]) == (202, None)
    assert texts(await branch(ada, url)) == ["Ho"]
    assert len(server.provider.requests) == 1


async def test_answer_is_corrected_in_place(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    first = await say(ada, url, "Hi")
    answer = await ada.patch(f"/api/messages/{first['answer']}", json={"text": "Hello, world!"})
    assert (answer.status_code, answer.json()["message"], answer.json()["run"]) == (200, first["answer"], None)
    shown = await branch(ada, url)
    assert texts(shown) == ["Hi", "Hello, world!"]
    assert shown[1]["revision"] == 1


async def test_repeated_edit_is_one_edit(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    first = await say(ada, url, "Hi")
    body = {"text": "Ho", "id": new_id()}
    answers = [(await ada.patch(f"/api/messages/{first['message']}", json=body)).text for _ in range(2)]
    assert answers[0] == answers[1]
    assert len((await branch(ada, url))[0]["siblings"]) == 2


async def test_regenerated_answer_is_a_sibling() -> None:
    async with serve(ScriptedProvider(["one"], ["two"])) as server, server.user() as ada:
        url = await make(ada)
        first = await say(ada, url, "Hi")
        answer = await ada.post(f"/api/messages/{first['answer']}/regenerate", json={"settings": {"seed": 3}})
        assert (answer.status_code, answer.json()["message"]) == (202, None)
        await read_events(ada, f"{url}/events", *ENDS, count=0)
        shown = await branch(ada, url)
        assert shown[1]["siblings"] == [first["answer"], answer.json()["answer"]]
        assert server.provider.requests[1].settings.seed == 3


async def test_unfinished_answer_goes_on() -> None:
    provider = ScriptedProvider(["Hello", Fail("refused")], ["Hello", " world"], continues=True)
    async with serve(provider) as server, server.user() as ada:
        url = await make(ada)
        first = await say(ada, url, "Hi")
        assert texts(await branch(ada, url)) == ["Hi", "Hello"]
        answer = await ada.post(f"/api/messages/{first['answer']}/continue")
        assert (answer.status_code, answer.json()["answer"]) == (202, first["answer"])
        await read_events(ada, f"{url}/events", *ENDS, count=0)
        assert texts(await branch(ada, url)) == ["Hi", "Hello world"]


async def test_complete_answer_does_not_go_on(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    first = await say(ada, url, "Hi")
    answer = await ada.post(f"/api/messages/{first['answer']}/continue", json={})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_removed_message_takes_along_what_hangs_below(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    first = await say(ada, url, "one")
    second = await say(ada, url, "two")
    assert (await ada.delete(f"/api/messages/{second['message']}")).status_code == 204
    assert [message["id"] for message in await branch(ada, url)] == [first["message"], first["answer"]]
    assert (await ada.delete(f"/api/messages/{second['answer']}")).status_code == 404


@pytest.mark.parametrize(
    ("method", "below", "body"),
    [
        ("PATCH", "", {"text": "mine"}),
        ("DELETE", "", None),
        ("POST", "/regenerate", {}),
        ("POST", "/continue", {}),
    ],
)
async def test_anothers_message_does_not_exist(
    ada: httpx2.AsyncClient, eve: httpx2.AsyncClient, method: str, below: str, body: Any
) -> None:
    url = await make(ada)
    hers = (await say(ada, url, "Hi"))["answer"]
    for name in (hers, new_id(), "nonsense"):
        answer = await eve.request(method, f"/api/messages/{name}{below}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    shielded = await eve.delete(f"/api/messages/{hers}", params={"conversation": url.rpartition("/")[2]})
    assert shielded.status_code == 404
    assert texts(await branch(ada, url)) == ["Hi", "Hello world"]


# --- older pages -------------------------------------------------------------------------------------------------


async def test_older_messages_are_paged_upwards(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    said = [str(n) for n in range(5)]
    for text in said:
        assert is_id((await ada.post(f"{url}/messages", json={"text": text, "respond": False})).json()["message"])
    snapshot = (await ada.get(f"{url}?limit=2")).json()
    assert (texts(snapshot["messages"]), snapshot["has_more"]) == (["3", "4"], True)
    seen, page = snapshot["messages"], snapshot
    for _ in range(2):
        assert page["has_more"]
        page = (await ada.get(f"{url}/messages", params={"before": seen[0]["id"], "limit": 2})).json()
        seen = page["messages"] + seen
    assert (texts(seen), page["has_more"]) == (said, False)
    assert all(message["siblings"] == [message["id"]] for message in seen)
    assert (await ada.get(f"{url}/messages", params={"before": seen[0]["id"]})).json() == {
        "messages": [],
        "has_more": False,
    }


async def test_older_messages_before_what_is_not_there(ada: httpx2.AsyncClient) -> None:
    url = await make(ada)
    for before in (new_id(), "nonsense"):
        assert (await ada.get(f"{url}/messages", params={"before": before})).status_code == 404
    assert (await ada.get(f"{url}/messages")).json() == {"messages": [], "has_more": False}


async def test_id_of_a_message_elsewhere_is_taken(ada: httpx2.AsyncClient, eve: httpx2.AsyncClient) -> None:
    """Told as it is, not as a failure that goes away when it is sent again; and the conversation goes on."""
    first, second = [(await client.post("/api/conversations", json={})).headers["location"] for client in (ada, eve)]
    said = {"text": "mine", "id": new_id()}
    assert (await ada.post(f"{first}/messages", json=said)).status_code == 202
    for _ in range(2):
        refused = await eve.post(f"{second}/messages", json=said)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (409, "/id"), refused.text
        good = await eve.post(f"{second}/messages", json={"text": "another", "respond": False})
        assert good.status_code == 202
    edited = await eve.patch(f"/api/messages/{good.json()['message']}", json=said)
    assert (edited.status_code, edited.json()["errors"][0]["pointer"]) == (409, "/id")


async def test_id_of_a_message_that_waits_elsewhere_is_taken() -> None:
    """Else it could never be said when its turn comes."""
    async with serve(ScriptedProvider(["word", trio.Event()])) as server, server.user() as ada:
        first, second = await make(ada), await make(ada)
        await ada.post(f"{first}/messages", json={"text": "Go on for ever"})
        waits = new_id()
        queued = await ada.post(f"{first}/messages", json={"text": "Then this", "id": waits})
        assert queued.json()["queued"]
        taken = await ada.post(f"{second}/messages", json={"text": "No, here", "id": waits})
        assert taken.status_code == 409
        assert (await ada.post(f"{first}/stop", json={})).status_code == 200
        shown = (await ada.get(first)).json()
        assert waits in [message["id"] for message in shown["messages"]]
