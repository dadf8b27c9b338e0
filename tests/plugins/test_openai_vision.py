"""Which models of an upstream are sent pictures: those that are known to see."""

from __future__ import annotations

import msgspec
import pytest

from trialogue_openai._models import _Listed


@pytest.mark.parametrize("name", ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5", "gpt-5-mini", "o1", "o3", "o4-mini"])
def test_models_of_openai_that_see(name: str) -> None:
    assert _Listed(name).sees(official=True)


@pytest.mark.parametrize("name", ["gpt-3.5-turbo", "gpt-4", "o1-mini", "o1-preview", "o3-mini", "something-new"])
def test_models_of_openai_that_do_not(name: str) -> None:
    assert not _Listed(name).sees(official=True)


@pytest.mark.parametrize(
    ("listed", "sees"),
    [
        ({"id": "a", "architecture": {"input_modalities": ["text", "image"]}}, True),
        ({"id": "a", "architecture": {"input_modalities": ["text"]}}, False),
        ({"id": "a", "capabilities": {"vision": True}}, True),
        ({"id": "a", "capabilities": {"vision": False}}, False),
        ({"id": "a", "capabilities": ["completion"]}, False),
        ({"id": "gpt-4o"}, False),
    ],
)
def test_others_see_if_their_list_says_so(listed: dict[str, object], sees: bool) -> None:
    assert msgspec.convert(listed, _Listed).sees(official=False) is sees
