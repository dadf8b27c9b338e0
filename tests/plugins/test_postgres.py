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
    try:
        await check(lambda: opening(url))
    except Exception as error:
        if missing := missing_facet(error):
            pytest.skip(f"it looks into a facet that is not there: {missing}")
        raise


def missing_facet(error: BaseException) -> str | None:
    """What a facet that is not there yet said, alone or in a group of its like."""
    if isinstance(error, BaseExceptionGroup):
        return missing_facet(error.exceptions[0])
    return str(error) if isinstance(error, NotImplementedError) else None
