"""``trialogue db prune``: what has had its time goes at once, and as much as was foreseen; what has not, stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from postgres_stores import open_dsn, open_schema
from served import Server

from trialogue import ConfigurationError, Invitation, Origin, Pruned, Store, load_plugins, new_id, tidy_folder
from trialogue.testing._kit_accounts import device, someone
from trialogue.testing._kit_making import begin
from trialogue_server import cli
from trialogue_server._keeping.pruning import prune
from trialogue_server.config import Config
from trialogue_server.serve import limits

CONTENT = b"nobody names this"
DIGEST = sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with open_dsn() as dsn:
        yield dsn


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Config]:
    if request.param == "sqlite":
        yield Config(data_dir=tmp_path)
        return
    with open_schema(request.getfixturevalue("dsn")) as url:
        yield Config(storage_url=url, data_dir=tmp_path)


def made(at: datetime) -> str:
    """An id of that time."""
    digits = f"{int(at.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-000000000001"


async def fill(store: Store, folder: Path) -> None:
    """Of each kind one that is over, and one that is not."""
    now = datetime.now(UTC)
    old, young = now - timedelta(days=999), now
    for at in (old, young):
        talk = await begin(store, owner="ann", created_at=at, updated_at=at)
        await talk.write("part.delta", unfinished=False)
        gone = await begin(store, owner="ann", created_at=at, updated_at=at)
        await gone.change(deleted_at=at, updated_at=at)
        await store.accounts.note([replace(Origin().entry("login"), at=at)])
        invitation = Invitation(made(at), at.isoformat().encode(), "user", new_id(), at, at + timedelta(days=1))
        await store.accounts.add_invitation(invitation)
    user = await store.accounts.add_user(someone("a@example.org"), "hash")
    await store.accounts.add_session(device(user))
    session = device(user, token=b"o" * 32)
    await store.accounts.add_session(session)
    await store.accounts.touch_session(session.id, session.seen_at, now - timedelta(hours=1))
    await tidy_folder(store.files, folder)
    path = folder / DIGEST[:2] / DIGEST
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    assert list(await store.files.keep([DIGEST], old)) == []


async def test_as_much_goes_as_was_foreseen_and_nothing_else(config: Config) -> None:
    plugins, files = load_plugins(), config.data_dir / config.files_dir
    async with plugins.open_store(config.storage_url, config.data_dir) as store:
        await fill(store, files)
    told = limits(config)
    foreseen = await prune(config, told, dry_run=True)
    assert (files / DIGEST[:2] / DIGEST).exists()
    assert foreseen == await prune(config, told, dry_run=True), "nothing was touched"
    assert (foreseen.over, list(foreseen.strays)) == (Pruned(2, 1, 1, 1, 1, 1), [])
    assert await prune(config, told) == foreseen
    assert not (files / DIGEST[:2] / DIGEST).exists()
    async with plugins.open_store(config.storage_url, config.data_dir) as store:
        listed = [await store.conversations("ann", limit=9, trashed=trashed) for trashed in (False, True)]
        assert [len(page.conversations) for page in listed] == [2, 1]
        assert [one.action for one in (await store.accounts.audit(limit=9)).entries if one.action == "login"] == [
            "login"
        ]
        assert len((await store.accounts.invitations(limit=9)).invitations) == 1
    assert (await prune(config, told)).over == Pruned()


def test_running_server_does_it_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"

    async def filled() -> None:
        async with load_plugins().open_store("sqlite:", data) as store:
            await fill(store, data / "files")

    trio.run(filled)
    with closing(Server(tmp_path)) as server:
        server.start()
        arguments = ["db", "prune", "--json", "--data-dir", str(data)]
        assert cli.main(arguments) == 0
        done = json.loads(capsys.readouterr().out)
        # What is of accounts, and contents, went already as it started.
        assert (done["over"]["events"], done["over"]["trash"], done["strays"]) == (2, 1, [])
        assert cli.main(arguments[:2] + arguments[3:]) == 0
        assert "removed: 0 conversations in the trash (trash_days = 30)" in capsys.readouterr().out


async def test_store_that_others_serve_is_left_to_them(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path)
    async with load_plugins().open_store("sqlite:", tmp_path):
        with pytest.raises(ConfigurationError, match="does not answer at its socket"):
            await prune(config, limits(config))
