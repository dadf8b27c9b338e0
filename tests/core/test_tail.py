"""The shared tail: kept once, read by any number, never with a hole."""

from __future__ import annotations

from trialogue import Entry, Tail, frame
from trialogue.testing import MemoryStore

FRAMES = [frame(1, Entry(seq, 1, "part.delta", b'{"n":%d}' % seq)) for seq in range(100)]


def tail_at(next_seq: int, limit: int = 100_000) -> Tail:
    return Tail(MemoryStore(), "c", next_seq, limit)


def test_reader_gets_what_follows_its_number() -> None:
    tail = tail_at(0)
    tail.publish(FRAMES[:10])
    assert tail.read(0) == (b"".join(FRAMES[:10]), 10)
    assert tail.read(7) == (b"".join(FRAMES[7:10]), 10)
    assert tail.read(10) == (b"", 10)


def test_reader_ahead_of_the_tail_waits_and_skips_nothing() -> None:
    tail = tail_at(0)
    tail.publish(FRAMES[:3])
    assert tail.read(5) == (b"", 5)
    tail.publish(FRAMES[3:7])
    assert tail.read(5) == (b"".join(FRAMES[5:7]), 7)


def test_limit_is_kept_but_one_frame_always_passes() -> None:
    tail = tail_at(0)
    tail.publish(FRAMES[:10])
    data, after = tail.read(0, limit=2 * len(FRAMES[0])) or (b"", 0)
    assert (data, after) == (b"".join(FRAMES[:2]), 2)
    assert tail.read(4, limit=1) == (FRAMES[4], 5)


def test_reader_before_the_tail_is_sent_to_the_log() -> None:
    tail = tail_at(50)
    tail.publish(FRAMES[50:52])
    assert tail.read(49) is None
    assert tail.read(50) == (b"".join(FRAMES[50:52]), 52)


def test_old_frames_are_let_go() -> None:
    tail = tail_at(0, limit=10 * len(FRAMES[0]))
    for one in FRAMES:
        tail.publish([one])
    assert 0 < tail.base < 100
    assert tail.read(tail.base) == (b"".join(FRAMES[tail.base :]), 100)
    assert tail.read(tail.base - 1) is None
    assert 100 - tail.base <= 10


def test_every_subscriber_is_woken_until_it_detaches() -> None:
    tail = tail_at(0)
    woken: list[str] = []
    detach = tail.attach(lambda: woken.append("a"))
    tail.attach(lambda: woken.append("b"))
    tail.publish(FRAMES[:1])
    detach()
    detach()
    tail.publish(FRAMES[1:2])
    assert woken == ["a", "b", "b"]
    assert tail.watched


async def test_log_is_never_read_across_a_hole() -> None:
    class Holed(MemoryStore):
        async def events(self, conversation: str, start: int, limit: int) -> list[Entry]:
            return [Entry(seq, 1, "x", b"{}") for seq in (start, start + 1, start + 3)]

    data, after = await Tail(Holed(), "c", 0).read_log(5)
    assert after == 7
    assert data.count(b"id: ") == 2
