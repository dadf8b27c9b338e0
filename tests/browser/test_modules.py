"""The page's modules by themselves, in the browser they are written for: the parser, the fold, and Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from browser.chat import PASSWORD, Visit
from playwright.sync_api import Page
from served import Server

Event = dict[str, Any]  # Any: an event's JSON.


@pytest.fixture
def page(server: Server, visit: Visit) -> Page:
    """A page of the right origin, where modules can be imported."""
    page = visit(server).new_page()
    page.goto("/")
    return page


# --- the parser --------------------------------------------------------------------------------------------------

WIRE = (
    ': ok\n\nid: 1\r\nevent: a\r\ndata: {"x": 1}\r\n\r\n'
    "retry: 250\rdata:two\rdata: lines\r\rid: 2\n\ndata: ü\n\ndata: cut off"
)
PARSE = """async ([wire, cut]) => {
  const { EventParser } = await import("/page/sse.js");
  const events = [];
  const parser = new EventParser((event) => events.push([event.id, event.type, event.data, event.retry]));
  for (const piece of [wire.slice(0, cut), wire.slice(cut)]) parser.push(piece);
  return events;
}"""


def test_the_parser_reads_the_same_however_the_text_is_cut(page: Page) -> None:
    whole = [["1", "a", '{"x": 1}', None], [None, "message", "two\nlines", 250], [None, "message", "ü", None]]
    for cut in range(len(WIRE) + 1):
        assert page.evaluate(PARSE, [WIRE, cut]) == whole, WIRE[:cut]


# --- the fold ----------------------------------------------------------------------------------------------------

FOLD = """async ([start, events, end]) => {
  const { evolve, fromSnapshot } = await import("/page/fold.js");
  let state = fromSnapshot(start);
  for (const event of events) {
    state = evolve(state, event);
    if (event.type === "part.delta") state = evolve(state, event);
  }
  return [state, fromSnapshot(end)];
}"""


def test_the_fold_over_events_is_the_snapshot_at_their_end(server: Server, page: Page) -> None:
    """Whatever happens in a conversation, and with every delta twice: watching it and reading it later show the same."""
    with httpx2.Client(base_url=server.url, trust_env=False) as client:
        name = _conversation(client, "folder")
        start = client.get(f"/api/conversations/{name}").json()
        _live(client, name)
        end = client.get(f"/api/conversations/{name}").json()
        events = list(_events(client, name, start["token"], end["seq"]))
    state, wanted = page.evaluate(FOLD, [start, events, end])
    assert {
        "part.delta",
        "inbox.added",
        "run.cancelled",
        "message.revised",
        "part.added",
        "tool.called",
        "tool.returned",
        "approval.given",
    } <= {event["type"] for event in events}
    assert "failover" in [event.get("cause") for event in events]
    assert not state["stale"]
    for field in ("messages", "run", "inbox", "hasMore"):
        assert state[field] == wanted[field], field
    assert {key: state["children"][key] for key in wanted["children"]} == wanted["children"]
    assert state["conversation"]["title"] == wanted["conversation"]["title"] == "Renamed"


def _conversation(client: httpx2.Client, name: str) -> str:
    client.post("/api/auth/register", json={"email": f"{name}@example.org", "password": PASSWORD, "name": name})
    return str(client.post("/api/conversations", json={}).raise_for_status().json()["id"])


def _live(client: httpx2.Client, name: str) -> None:
    """A bit of everything: code points beyond 16 bits, a queue, a stop, branches, a correction."""
    messages, patch = f"/api/conversations/{name}/messages", "/api/messages/{}"

    def say(text: str) -> dict[str, Any]:
        accepted: dict[str, Any] = client.post(messages, json={"text": text}).raise_for_status().json()
        return accepted

    first = say("Ein Papagei 🦜, ein Haus 🏠, zwei 🦜🦜 und e\u0301 [[rate=0]]")
    _until_idle(client, name)
    say("[[endless rate=200 numbered]]")
    waiting = [say(f"then {number} [[tokens=9 rate=0 reason=4]]")["message"] for number in range(2)]
    client.post(f"/api/conversations/{name}/stop", json={}).raise_for_status()
    _until_idle(client, name)
    say("Use tools [[rate=0 call=current_time calls=2 rounds=2]]")
    _until_idle(client, name)
    ask = {"settings": {"tools": [{"name": "current_time", "approval": "ask"}]}}
    client.patch(f"/api/conversations/{name}", json=ask).raise_for_status()
    for decision in ({"decision": "deny"}, {"decision": "edit", "arguments": {"zone": "Asia/Tokyo"}}):
        say("Ask me first [[rate=0 call=current_time]]")
        call = _waiting(client, name)
        client.post(f"/api/approvals/{call}", json=decision).raise_for_status()
        _until_idle(client, name)
    say("Break and go on [[tokens=30 rate=0 numbered fail=11 kind=broken]]")
    _until_idle(client, name)
    answer = client.patch(patch.format(waiting[1]), json={"text": "other [[tokens=7 rate=0]]"}).json()["answer"]
    _until_idle(client, name)
    client.post(patch.format(answer) + "/regenerate", json={}).raise_for_status()
    _until_idle(client, name)
    client.patch(f"/api/conversations/{name}", json={"title": "Renamed"}).raise_for_status()
    client.patch(patch.format(first["answer"]), json={"text": "Corrected."}).raise_for_status()


def _waiting(client: httpx2.Client, name: str) -> str:
    """The tool call that waits for a decision, once there is one."""
    snapshot = client.get(f"/api/conversations/{name}").json()
    events = _events(client, name, snapshot["token"])
    calls = snapshot["run"]["calls"]
    while not any(call.get("state") == "asked" for call in calls):
        event = next(events)
        calls = [{**event, "state": "asked"}] if event["type"] == "approval.asked" else []
    return str(calls[0]["call"])


def _until_idle(client: httpx2.Client, name: str) -> None:
    """Read the stream until nothing runs and nothing waits."""
    snapshot = client.get(f"/api/conversations/{name}").json()
    events = _events(client, name, snapshot["token"])
    while snapshot["run"] or snapshot["inbox"]:
        while not next(events)["type"].startswith("run."):
            pass
        snapshot = client.get(f"/api/conversations/{name}").json()


def _events(client: httpx2.Client, name: str, cursor: str, last: int | None = None) -> Iterator[Event]:
    """The conversation's events after ``cursor``, up to number ``last``."""
    if last is not None and int(cursor.rpartition(".")[2]) >= last:
        return
    address = f"/api/conversations/{name}/events"
    with client.stream("GET", address, headers={"Last-Event-ID": cursor}) as response:
        number = -1
        for line in response.raise_for_status().iter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                number = int(value.rpartition(".")[2])
            elif field == "data":
                yield json.loads(value)
                if number == last:
                    return


def test_the_fold_asks_for_a_snapshot_when_it_cannot_know(page: Page) -> None:
    message = {"id": "a", "role": "assistant", "parts": [{"type": "text", "text": "abc"}], "siblings": ["a"]}
    start: Event = {"conversation": {}, "messages": [message], "run": None, "inbox": [], "has_more": False}
    delta = {"type": "part.delta", "run": "r", "message": "a", "part": 0, "text": "x", "tokens": 1}
    for event, stale in (
        ({"type": "head.moved", "head": "elsewhere"}, True),
        ({"type": "head.moved", "head": "a"}, False),
        ({**delta, "offset": 3}, False),
        ({**delta, "offset": 1}, False),
        ({**delta, "offset": 4}, True),
        ({**delta, "offset": 0, "part": 1}, True),
        ({"type": "part.ended", "message": "a", "part": 0, "length": 4}, True),
        ({"type": "message.added", "message": {"id": "b", "parent": "unseen", "parts": []}}, True),
        ({"type": "something.new"}, False),
    ):
        state, _ = page.evaluate(FOLD, [start, [event], start])
        assert state["stale"] is stale, event


def test_the_fold_keeps_summaries_while_they_are_true(page: Page) -> None:
    messages = [{"id": name, "role": "user", "parts": [], "siblings": [name]} for name in "ab"]
    start: Event = {"conversation": {}, "messages": messages, "run": None, "inbox": [], "has_more": False}
    event = {"type": "context.compacted", "message": "b", "summary": "short", "at": "", "asked": {}}
    nothing = {"type": "context.compacted", "message": "b", "at": "", "asked": {}}
    revised = {"type": "message.revised", "message": {"id": "a", "role": "user", "parts": []}, "at": ""}
    for events, summary in (
        ([event], "short"),
        ([event, nothing], "short"),
        ([event, revised], "short"),
        ([event, {**revised, "stale": ["b"]}], None),
    ):
        state, _ = page.evaluate(FOLD, [start, events, start])
        assert state["messages"][1]["summary"] == summary, events


SUMMED = """async (summary) => {
  const { MessageView } = await import("/page/view-message.js");
  const message = { id: "a", role: "assistant", parts: [], status: "completed", created_at: "2026-03-01T12:00:00Z" };
  const view = new MessageView(message, {});
  view.draw({ ...message, summary }, { siblings: ["a"], live: false, models: [] });
  return view.element.querySelector("details.summed")?.innerHTML;
}"""


def test_a_summary_is_one_line_that_opens(page: Page) -> None:
    assert page.evaluate(SUMMED, None) is None
    shown = page.evaluate(SUMMED, "<b>short</b>")
    assert shown == "<summary>What is above is summed up for the model</summary><p>&lt;b&gt;short&lt;/b&gt;</p>"


# --- Markdown ----------------------------------------------------------------------------------------------------

DRAW = """async ([text, step]) => {
  const { MarkdownView } = await import("/page/markdown.js");
  const element = document.createElement("div");
  document.body.append(element);
  const view = new MarkdownView(element);
  for (let end = step; end < text.length; end += step) view.show(text.slice(0, end), false);
  view.show(text, true);
  return element.innerHTML;
}"""
HOSTILE = (
    "<b onclick='window.hit=1'>bold</b>",
    "<img src=x onerror='window.hit=1'>",
    "![x](https://elsewhere.test/pixel.png)",
    "<img srcset='https://elsewhere.test/a 1x'>",
    "[x](javascript:window.hit=1)",
    "<a href='&#106;avascript:window.hit=1'>x</a>",
    "<svg onload='window.hit=1'><script>window.hit=1</script></svg>",
    "<script>window.hit=1</script>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "<form action='https://elsewhere.test'><input name=password><button>Sign in</button></form>",
    "<style>body{display:none}</style><link rel=stylesheet href=https://elsewhere.test/x.css>",
    "<p style='position:fixed;inset:0' id=main class=toast>over</p>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.hit=1>",
    "```html\n<img src=x onerror=window.hit=1>\n```",
    "<details open ontoggle='window.hit=1'><summary>x</summary></details>",
    "<audio src=https://elsewhere.test/a autoplay></audio><video poster=https://elsewhere.test/b></video>",
)


def test_a_hostile_answer_does_nothing(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for text in HOSTILE:
        html = page.evaluate(DRAW, [text, 5])
        without_code = re.sub(r"<pre.*?</pre>", "", html, flags=re.DOTALL)
        tags = set(re.findall(r"<(\w+)", without_code))
        assert not tags & {"img", "script", "iframe", "form", "input", "style", "link", "math", "audio", "video"}, text
        assert not re.search(r"<[^>]*(\son\w+=|javascript:|\sstyle=|\sid=|\sclass=\"?toast)", without_code), text
    assert page.evaluate("window.hit") is None
    assert [url for url in asked if "elsewhere" in url] == []


SAMPLE = """# Title

A paragraph with **bold**, `code`, a [link](https://example.org/a?b=c&d) and ~~more~~.

1. one
   - nested

     with a paragraph
2. two

```python
def f(x: int) -> str:
    return f"{x}"  # the end
```

| a | b |
|---|--:|
| 1 | 2 |

> quoted

- [x] done
"""


def test_plain_tags_are_tags_and_others_are_text(page: Page) -> None:
    html = page.evaluate(DRAW, ["H<sub>2</sub>O, <span style='color:red'>red</span><br>and a <b>line</b>", 10**6])
    assert "H<sub>2</sub>O" in html
    assert "&lt;span style='color:red'&gt;red&lt;/span&gt;<br>" in html
    assert "<b>line</b>" in html


@pytest.mark.parametrize("step", [1, 7])
def test_a_text_that_grew_reads_like_one_drawn_at_once(page: Page, step: int) -> None:
    page.evaluate("import('/page/vendor/highlight.js').then(() => {})")
    assert _coloured(page, SAMPLE, step) == _coloured(page, SAMPLE, 10**6)


def test_a_long_text_is_frozen_in_part_and_whole_in_the_end(page: Page) -> None:
    sample = SAMPLE.replace("```python", "```")
    text = f"A [link][late] to come.\n\n{sample * 170}\n[late]: https://example.org/late\n"
    assert len(text) > 40_000
    assert page.evaluate(DRAW, [text, 8000]) == page.evaluate(DRAW, [text, 10**6])


def _coloured(page: Page, text: str, step: int) -> str:
    page.evaluate(DRAW, [text, step])
    drawn = page.locator("body > div").last
    drawn.locator(".hljs-keyword").first.wait_for(state="attached")
    return drawn.inner_html()


# --- words -------------------------------------------------------------------------------------------------------

SPENT = """async (usages) => {
  const { costOf, tokensOf, usageDetails } = await import("/page/words.js");
  return usages.map((usage) => [tokensOf(usage), costOf(usage), usageDetails(usage).split("\\n")]);
}"""


def test_what_an_answer_cost_is_told_in_words(page: Page) -> None:
    usages: list[dict[str, Any]] = [  # Any: an event's JSON.
        {
            "source": "reported",
            "input_tokens": 1200,
            "output_tokens": 184,
            "cache_read_tokens": 1000,
            "reasoning_tokens": 50,
            "cost": 2_140_500,
        },
        {"source": "estimated", "output_tokens": 1, "cost": 30},
        {"source": "reported", "input_tokens": 0, "output_tokens": 7, "cost": 0},
        {"source": "reported", "output_tokens": 7},
        {"source": "reported", "input_tokens": 10, "output_tokens": 2, "cost": 12_345_000_000},
    ]
    assert page.evaluate(SPENT, usages) == [
        [
            "184 tokens",
            "$0.0021",
            ["1,200 tokens in (1,000 from a cache)", "184 tokens out (50 of thought)", "$0.002140500"],
        ],
        ["about 1 token", "less than $0.0001", ["1 tokens out", "$0.000000030, by our own estimate"]],
        ["7 tokens", None, ["0 tokens in", "7 tokens out", "free"]],
        ["7 tokens", None, ["7 tokens out", "cost unknown"]],
        ["2 tokens", "$12.35", ["10 tokens in", "2 tokens out", "$12.345000000"]],
    ]
