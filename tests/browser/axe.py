"""axe-core in a page: what of it some people could not read or use."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from node_tools import FOLDER, need_packages
from playwright.sync_api import Page

#: In both schemes, as contrast is another in each.
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_RUN = """async () => {
  // What fades in is looked at as it stays.
  await Promise.all(document.getAnimations().map((one) => one.effect.getTiming().iterations < 9 && one.finish()));
  const { violations, passes } = await axe.run(document, { resultTypes: ["violations"] });
  return [violations, passes.length];
}"""


def violations(page: Page) -> list[str]:
    """Each rule that is broken, in which scheme, by what, and what to do; the page's context must bypass its policy."""
    found: list[str] = []
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(_source())
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        broken, passed = page.evaluate(_RUN)
        assert passed > 10, "nothing was looked at"
        found += [line for rule in broken for line in _lines(scheme, rule)]
    return found


def _lines(scheme: str, rule: dict[str, Any]) -> list[str]:  # Any: axe's own JSON.
    return [
        f"{scheme} {rule['id']}: {node['html'][:160]} - {' '.join(node['failureSummary'].split())}"
        for node in rule["nodes"]
    ]


@cache
def _source() -> str:
    need_packages()
    return (FOLDER / "node_modules" / "axe-core" / "axe.min.js").read_text()
