"""How the page follows a stream, against answers made up here: twice is once, a gap is filled, and nothing is given up."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from browser.chat import Visit
from browser.watched import Watched
from playwright.sync_api import Page, Route
from served import Server

FOLLOW = """async () => {
  const { Stream } = await import("/page/stream.js");
  const got = [];
  return new Promise((resolve) => {
    const stream = new Stream("/api/conversations/x/events", {
      event(type, value, cursor) {
        got.push([type, cursor]);
        if (type !== "last") return;
        stream.close();
        resolve(got);
      },
      state() {},
      end: (error) => resolve([...got, ["end", String(error.status)]]),
    });
  });
}"""


class Wire:
    """Answers each request for events with the next of ``answers``, a status or a body, and keeps the cursors asked for."""

    def __init__(self, page: Page, answers: Sequence[str | int]) -> None:
        self.cursors: list[str | None] = []
        self._answers = iter(answers)
        page.route("**/api/conversations/x/events", self._answer)

    def _answer(self, route: Route) -> None:
        self.cursors.append(route.request.headers.get("last-event-id"))
        answer = next(self._answers)
        if isinstance(answer, int):
            route.fulfill(status=answer, content_type="application/problem+json", body='{"detail": "no"}')
        else:
            route.fulfill(content_type="text/event-stream", body=": ok\n\n" + answer)


def cursor(number: int, epoch: int = 3) -> str:
    """As the server spells it."""
    return f"0001.{epoch:010d}.{number:012d}"


def event(number: int, name: str = "e", epoch: int = 3) -> str:
    """A numbered event's frame."""
    return f"id: {cursor(number, epoch)}\nevent: {name}\ndata: {{}}\n\n"


def snapshot(number: int) -> str:
    """A snapshot's frame."""
    return f'id: {cursor(number)}\nevent: snapshot\ndata: {{"token": "{cursor(number)}"}}\n\n'


@pytest.fixture
def page(server: Server, visit: Visit) -> Page:
    """A page of the right origin, where the module can be imported."""
    page = visit(server).new_page()
    page.goto("/")
    return page


def test_what_comes_twice_is_handed_over_once(page: Page) -> None:
    Wire(page, [snapshot(5) + event(5) + event(6) + event(6) + event(7, "last")])
    assert page.evaluate(FOLLOW) == [["snapshot", cursor(5)], ["e", cursor(6)], ["last", cursor(7)]]


def test_a_gap_is_filled_from_the_last_good_event(page: Page) -> None:
    wire = Wire(page, [snapshot(5) + event(6) + event(8), event(7) + event(8) + event(9, "last")])
    assert page.evaluate(FOLLOW)[1:] == [["e", cursor(6)], ["e", cursor(7)], ["e", cursor(8)], ["last", cursor(9)]]
    assert wire.cursors == [None, cursor(6)]


def test_numbers_count_across_owners(page: Page) -> None:
    Wire(page, [snapshot(5) + event(6, epoch=4) + event(6) + event(7, "last", epoch=4)])
    assert page.evaluate(FOLLOW)[1:] == [["e", cursor(6, 4)], ["last", cursor(7, 4)]]


def test_an_ended_stream_goes_on_from_its_cursor(page: Page) -> None:
    wire = Wire(page, [snapshot(5) + event(6), event(7, "last")])
    assert page.evaluate(FOLLOW)[-1] == ["last", cursor(7)]
    assert wire.cursors == [None, cursor(6)]


def test_a_reset_begins_anew_with_a_snapshot(page: Page) -> None:
    reset = 'event: reset\ndata: {"type": "reset", "reason": "x"}\n\n'
    Wire(page, [snapshot(50) + event(51), reset + snapshot(2) + event(3, "last")])
    expected = [
        ["snapshot", cursor(50)],
        ["e", cursor(51)],
        ["reset", None],
        ["snapshot", cursor(2)],
        ["last", cursor(3)],
    ]
    assert page.evaluate(FOLLOW) == expected


def test_a_busy_server_is_asked_again(page: Page, watched: Watched) -> None:
    watched.expected.append("status of 503 ")
    wire = Wire(page, [503, snapshot(5), 503, event(6, "last")])
    assert page.evaluate(FOLLOW) == [["snapshot", cursor(5)], ["last", cursor(6)]]
    assert wire.cursors == [None, None, cursor(5), cursor(5)]


def test_a_refused_cursor_is_dropped(page: Page, watched: Watched) -> None:
    watched.expected.append("status of 410 ")
    wire = Wire(page, [snapshot(5), 410, snapshot(9) + event(10, "last")])
    assert page.evaluate(FOLLOW)[-2:] == [["snapshot", cursor(9)], ["last", cursor(10)]]
    assert wire.cursors == [None, cursor(5), None]


def test_a_conversation_that_is_gone_ends_it(page: Page, watched: Watched) -> None:
    watched.expected.append("status of 404 ")
    Wire(page, [snapshot(5), 404])
    assert page.evaluate(FOLLOW) == [["snapshot", cursor(5)], ["end", "404"]]
