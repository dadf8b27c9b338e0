"""The code in docs/tools.md runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from trialogue import FunctionTool, ToolContext, ToolError, load_plugins

PAGE = Path(__file__).parents[2] / "docs/tools.md"
CONTEXT = ToolContext("ann", "c", "r", "m-0", 0.0)


async def test_tool_of_one_s_own() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    module: dict[str, Any] = {"__name__": "fruit"}  # What the page's module defines.
    exec(code, module)
    plugin = type("Fruit", (), {"trialogue_tools": staticmethod(module["trialogue_tools"])})
    order, prices = load_plugins(plugin, installed=False).tools({})
    assert isinstance(order, FunctionTool)
    assert isinstance(prices, FunctionTool)
    assert (order.needs_approval, order.timeout, prices.idempotent) == (True, 10, True)
    assert (await order.call({"fruit": "pear", "count": 2}, CONTEXT)).text == "2 pear for 8"
    assert (await prices.call({}, CONTEXT)).citations[0].title == "Price list"
    with pytest.raises(ToolError, match="there is no plum, only apple, pear"):
        await order.call({"fruit": "plum"}, CONTEXT)
    with pytest.raises(ToolError, match="Expected 'int', got 'str'"):
        await order.call({"fruit": "pear", "count": "2"}, CONTEXT)
