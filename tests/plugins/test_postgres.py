"""The PostgreSQL store conforms, as every store must."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgres_stores import empty, open_dsn, open_schema, opening

from trialogue.testing import STORE_CHECKS, StoreCheck, check_name


@pytest.fixture(scope="module")
def schema() -> Iterator[str]:
    with open_dsn() as dsn, open_schema(dsn) as url:
        yield url


@pytest.fixture
def url(schema: str) -> str:
    empty(schema)
    return schema


@pytest.mark.parametrize("check", STORE_CHECKS, ids=check_name)
async def test_conforms(check: StoreCheck, url: str) -> None:
    await check(lambda: opening(url))
