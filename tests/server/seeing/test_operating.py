"""What is said of metrics elsewhere is true of a real server's: alerts, dashboard, and the pages about them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from postgres_server import open_server as open_postgres
from prometheus_client.parser import text_string_to_metric_families
from redis_server import open_server as open_redis
from served import Server

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy/prometheus/trialogue.rules.yml"
DASHBOARD = ROOT / "deploy/grafana/trialogue.json"


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The kinds of all metrics by name: of a server over SQLite, and of a node over PostgreSQL and Redis, both at work."""
    kinds: dict[str, str] = {}
    with open_postgres() as postgres, open_redis() as redis:
        servers = [
            Server(tmp_path_factory.mktemp("sqlite")),
            Server(tmp_path_factory.mktemp("postgres"), storage_url=postgres.dsn, redis_url=redis.url),
        ]
        try:
            for server in servers:
                server.start()
                load(server)
                text = httpx2.get(f"{server.url}/metrics", trust_env=False).text
                assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-7", text), "an id in a label"
                families = text_string_to_metric_families(text)
                kinds |= {one.name + "_total" * (one.type == "counter"): one.type for one in families}
            yield kinds
        finally:
            for server in servers:
                server.close()


def load(server: Server) -> None:
    """An answer, one that fails, a call of a tool, and a price, so that every figure has something to say."""
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=20) as client:
        user = {"email": "ada@example.org", "password": "correct horse", "name": "ada"}
        assert client.post("/api/auth/register", json=user).status_code == 201
        for text in ("hi", "[[fail=3 kind=malformed]]", "[[call=current_time]]"):
            url = client.post("/api/conversations", json={}).headers["location"]
            headers = {"Accept": "text/event-stream"}
            with client.stream("POST", f"{url}/messages", json={"text": text}, headers=headers) as answer:
                for line in answer.iter_lines():
                    if re.match("event: run\\.(completed|failed|incomplete)", line):
                        break


def named(expression: str) -> set[str]:
    """The metrics in a PromQL expression, without what a histogram's samples add to its name."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]', " ", expression)
    bare = re.sub(r"\b(by|on|ignoring|without)\s*\([^)]*\)", " ", bare)
    names = set(re.findall(r"\b(?:trialogue|process|python)_\w+", bare))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def rules() -> Sequence[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    return found


def expressions(panels: Sequence[dict[str, Any]]) -> Iterator[str]:
    for panel in panels:
        yield from (target["expr"] for target in panel.get("targets", ()))


def test_alerts_look_at_metrics_that_exist(scraped: dict[str, str]) -> None:
    for rule in rules():
        assert named(rule["expr"]) - {"up"} <= scraped.keys(), rule["alert"]


def test_dashboard_shows_metrics_that_exist(scraped: dict[str, str]) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    shown = list(expressions(dashboard["panels"]))
    assert len(shown) > 40
    for expression in shown:
        assert named(expression), expression
        assert named(expression) <= scraped.keys(), expression
    for variable in dashboard["templating"]["list"]:
        assert named(str(variable["query"])) <= scraped.keys()


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    panels = json.loads(DASHBOARD.read_text())["panels"]
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + across, place["y"] + down) for across in range(place["w"]) for down in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(across for across, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_page_lists_every_metric_and_no_other(scraped: dict[str, str]) -> None:
    page = (ROOT / "docs/seeing.md").read_text()
    listed = set(re.findall(r"^\| `((?:trialogue|process|python)_\w+)`", page, re.MULTILINE))
    assert listed == scraped.keys()


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    sections = re.split(r"^## ", (ROOT / "docs/alerts.md").read_text(), flags=re.MULTILINE)[1:]
    names = [section.partition("\n")[0] for section in sections]
    assert names == [rule["alert"] for rule in rules()]
    for section in sections:
        assert all(f"**{word}**" in section for word in ("Means", "Look", "Do")), section[:40]
    for rule in rules():
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_rules_are_read_and_do_what_they_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: it is in Debian's package prometheus")
    for words in (("check", "rules", RULES.name), ("test", "rules", "trialogue.test.yml")):
        done = subprocess.run([promtool, *words], cwd=RULES.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried() -> None:
    text = (RULES.parent / "trialogue.test.yml").read_text()
    assert [rule["alert"] for rule in rules() if rule["alert"] not in text] == []
