"""Rows out of one store and into another: nothing is missing or changed, and what follows from them is there too."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest
from postgres_stores import open_dsn, open_schema, opening

import trialogue_postgres
import trialogue_sqlite
from trialogue import ConfigurationError, InvalidError, SearchQuery, Store, Transfer
from trialogue.testing._kit_ledger import ALWAYS
from trialogue.testing.transfer_kit import fill, move, read


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with open_dsn() as dsn:
        yield dsn


class Place:
    """A store and its transfer."""

    def __init__(
        self, transfer: Transfer | None, opened: Callable[[], AbstractAsyncContextManager[Store] | None]
    ) -> None:
        assert transfer is not None
        self.transfer = transfer
        self._opened = opened

    def open(self) -> AbstractAsyncContextManager[Store]:
        store = self._opened()
        assert store is not None
        return store


def embedded(folder: Path) -> Place:
    return Place(
        trialogue_sqlite.trialogue_store_transfer("sqlite:", folder),
        lambda: trialogue_sqlite.trialogue_store("sqlite:", folder),
    )


def served(url: str) -> Place:
    return Place(trialogue_postgres.trialogue_store_transfer(url, Path()), lambda: opening(url))


@pytest.fixture
def places(tmp_path: Path, dsn: str) -> Iterator[dict[str, Place]]:
    with open_schema(dsn) as one, open_schema(dsn) as two:
        yield {
            "sqlite": embedded(tmp_path / "one"),
            "sqlite too": embedded(tmp_path / "two"),
            "postgres": served(one),
            "postgres too": served(two),
        }


@pytest.mark.parametrize(
    "way",
    [
        ("sqlite", "sqlite too"),
        ("sqlite", "postgres", "sqlite too"),
        ("postgres", "sqlite", "postgres too"),
        ("postgres", "postgres too"),
    ],
    ids=" to ".join,
)
async def test_rows_are_the_same_wherever_they_go(way: tuple[str, ...], places: dict[str, Place]) -> None:
    stops = [places[name] for name in way]
    async with stops[0].open() as store:
        talk = await fill(store)
        generation = store.generation
    for one, other in itertools.pairwise(stops):
        assert await move(one.transfer, other.transfer) != generation
    async with stops[-1].open() as store:
        assert store.generation != generation
        view = await store.view(talk.id, 100)
        assert view is not None
        assert (view.header, view.next_seq) == (talk.header, talk.next_seq)
        assert list(await store.unfinished("")) == [talk.id]
        found = await store.index.search("owner", SearchQuery("voles"), 5)
        assert [hit.id for hit in found.hits] == [talk.header.head]
        assert (await store.ledger.total(None, *ALWAYS)).runs == 2
        await talk_goes_on(store, talk.id)


async def talk_goes_on(store: Store, conversation: str) -> None:
    """A new owner can claim it, and the log goes on where it ended."""
    claim = await store.claim(conversation, "node-c")
    assert claim is not None
    assert claim.epoch == 3


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_rows_are_those_of_one_moment(kind: str, places: dict[str, Place]) -> None:
    """A store that is written meanwhile, by a server that has it open."""
    place = places[kind]
    async with place.open() as store:
        talk = await fill(store)
        _, before = await read(place.transfer)
        async with place.transfer.dump() as chunks:
            seen = [await anext(chunks)]
            await talk.say("too late")
            seen += [chunk async for chunk in chunks]
        assert b"".join(seen).partition(b"\n")[2] == before
        assert b"too late" in (await read(place.transfer))[1]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_place_with_data_is_not_filled(kind: str, places: dict[str, Place]) -> None:
    place = places[kind]
    async with place.open() as store:
        await fill(store)
    _, before = await read(place.transfer)
    with pytest.raises(ConfigurationError, match="holds data"):
        async with place.transfer.load(None):
            pass
    assert (await read(place.transfer))[1] == before


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("damage", ["cut", "nonsense", "twice", "stranger", "nothing"])
async def test_damaged_rows_leave_nothing(kind: str, damage: str, places: dict[str, Place]) -> None:
    source, target = places["sqlite too"], places[kind]
    async with source.open() as store:
        await fill(store)
    lines = b"\n".join(await read(source.transfer))
    bad = {
        "cut": lines[: len(lines) // 2],
        "nonsense": lines + b'{"kind":"owl"}\n',
        "twice": lines + lines.partition(b"\n")[2],
        "stranger": lines
        + msgspec.json.encode({"kind": "entry", "conversation": "x", "seq": 0, "epoch": 1, "type": "t", "data": "{}"}),
        "nothing": b"",
    }[damage]
    with pytest.raises(InvalidError, match=r"backup that is whole|made by this version"):
        async with target.transfer.load(None) as loader:
            await loader.put(bad)
    async with target.open() as store:
        assert not await store.accounts.has_users()
    assert await move(source.transfer, target.transfer), "and it can be filled after that"


async def test_what_was_there_is_kept_aside(places: dict[str, Place]) -> None:
    source, target = places["sqlite"], places["sqlite too"]
    for place in (source, target):
        async with place.open() as store:
            talk = await fill(store)
    async with source.transfer.dump() as chunks, target.transfer.load(None, replace=True) as loader:
        async for chunk in chunks:
            await loader.put(chunk)
    assert (await read(source.transfer))[1] == (await read(target.transfer))[1]
    assert loader.kept is not None
    kept = trialogue_sqlite.trialogue_store_transfer(f"sqlite:{loader.kept}", Path(loader.kept).parent)
    assert kept is not None
    assert talk.id.encode() in (await read(kept))[1]


async def test_an_open_database_is_not_replaced(places: dict[str, Place]) -> None:
    place = places["sqlite"]
    async with place.open() as store:
        await fill(store)
        with pytest.raises(ConfigurationError, match="in use by the process"):
            async with place.transfer.load(None, replace=True):
                pass
