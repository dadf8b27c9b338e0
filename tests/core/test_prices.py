"""Where prices come from: which of two that fit counts, whom they are believed of, and what is no price."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trialogue import ConfigurationError, Model, PriceList, Prices, Rates, load_prices
from trialogue._paying.prices import Listed, parse_prices

ROOT = Path(__file__).parents[2]
CHEAP, DEAR = Listed(Prices(1, 2), 100), Listed(Prices(10, 20), 200)


def model(name: str, prices: Prices | None = None) -> Model:
    return Model(name, name.partition(":")[0], "Some Model", 1000, prices=prices)


def prices_of(listed: PriceList, name: str, vendor: str | None = "openai") -> Prices | None:
    return listed.complete(model(name), vendor).prices


def test_whole_name_goes_before_beginnings_and_the_longest_of_them_counts() -> None:
    listed = PriceList({"openai:gpt-*": CHEAP, "openai:gpt-5-*": DEAR, "openai:gpt-5": CHEAP})
    assert prices_of(listed, "openai:gpt-5") == CHEAP.prices
    assert prices_of(listed, "openai:gpt-5-x") == DEAR.prices
    assert prices_of(listed, "openai:gpt-4") == CHEAP.prices
    assert prices_of(listed, "openai:o1") is None


def test_published_prices_hold_only_where_the_vendor_is_asked() -> None:
    listed = PriceList({"openai:gpt-5": CHEAP})
    assert prices_of(listed, "openai:gpt-5", vendor=None) is None
    assert prices_of(listed, "proxy:gpt-5", vendor="openai") == CHEAP.prices
    assert PriceList(own={"openai:gpt-5": DEAR}).complete(model("openai:gpt-5"), None).prices == DEAR.prices


def test_operator_goes_before_the_provider_and_the_provider_before_the_list() -> None:
    said = model("openai:gpt-5", prices=Prices(7, 7))
    assert PriceList({"openai:gpt-5": CHEAP}).complete(said, "openai").prices == Prices(7, 7)
    found = PriceList({"openai:gpt-5": CHEAP}, own={"openai:*": DEAR}).complete(said, "openai")
    assert (found.prices, found.output_tokens) == (DEAR.prices, 200)


def test_our_own_list_can_be_read_and_names_its_sources() -> None:
    text = (ROOT / "core/trialogue/prices.toml").read_text()
    listed = parse_prices(text, "prices.toml")
    assert len(listed) >= 20
    assert text.count("source = ") == len(listed)
    assert re.search(r"Looked up on 20\d\d-\d\d-\d\d", text)
    for name, row in listed.items():
        assert name.startswith(("openai:", "anthropic:"))
        assert 0 < row.prices.input < row.prices.output, name
        assert row.prices.cache_read is None or row.prices.cache_read < row.prices.input, name
    assert prices_of(load_prices(), "openai:gpt-5-mini-2025-08-07") == Prices(250_000, 2_000_000, cache_read=25_000)
    # A larger model must not lend its price to a smaller one that is not listed.
    assert prices_of(load_prices(), "openai:gpt-5-tiny") is None


def test_example_of_the_page_can_be_read() -> None:
    text = (ROOT / "docs/usage.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    listed = parse_prices(example, "docs/usage.md")
    assert listed["openai:llama3"].prices == Prices(0, 0)
    assert listed["openai:our-finetune-*"].output_tokens == 8192


def test_tier_for_long_requests() -> None:
    text = '["a:b"]\ninput = 0.1\noutput = 0.5\nlong_above = 100000\n["a:b".long]\ninput = 0.5\noutput = 2.5\n'
    prices = Prices(100_000, 500_000, long_above=100_000, long=Rates(500_000, 2_500_000))
    assert parse_prices(text, "file")["a:b"].prices == prices


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('["a:b"]\ninput = 1', "output"),
        ('["a:b"]\ninput = -1\noutput = 1', "from 0 to"),
        ('["a:b"]\ninput = nan\noutput = 1', "NaN"),
        ('["a:b"]\ninput = inf\noutput = 1', "Infinity"),
        ('["a:b"]\ninput = 0.0000001\noutput = 1', "six places"),
        ('["a:b"]\ninput = true\noutput = 1', "bool"),
        ('["a:b"]\ninput = 1\noutput = 1\nimput = 2', "imput"),
        ('["a:b"]\ninput = 1\noutput = 1\nlong_above = 5', "go together"),
        ('["a:b"]\ninput = 1\noutput = 1\noutput_tokens = 0', "at least 1"),
        ('["ab"]\ninput = 1\noutput = 1', "no model id"),
        ('["a:*b"]\ninput = 1\noutput = 1', "no model id"),
        ("input = 1", "no model id"),
        ('["a:b"\n', "not TOML"),
        ('["a:b"]\ninput = 1e999999999\noutput = 1', "from 0 to"),
    ],
)
def test_what_is_no_price_is_told_in_words(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as error:
        parse_prices(text, "mine.toml")
    assert "mine.toml" in str(error.value)
