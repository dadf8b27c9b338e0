"""The SQLite store conforms, as every store must."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

import trialogue_sqlite
from trialogue import Store
from trialogue.testing import STORE_CHECKS, StoreCheck, check_name


@pytest.mark.parametrize("check", STORE_CHECKS, ids=check_name)
async def test_conforms(check: StoreCheck, tmp_path: Path) -> None:
    def open_store() -> AbstractAsyncContextManager[Store]:
        store = trialogue_sqlite.trialogue_store("sqlite:", tmp_path / "data")
        assert store is not None
        return store

    await check(open_store)
