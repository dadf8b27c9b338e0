"""The pages say what is true: the tests they name exist, their links lead somewhere, their commands run."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import Server

from trialogue_server.api import BLUEPRINTS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def named_tests() -> Iterator[str]:
    for page in PAGES:
        yield from re.findall(r"`(tests/[\w/]+\.py::\w+)`", page.read_text())


@pytest.mark.parametrize("name", sorted(set(named_tests())))
def test_test_that_a_page_names_exists(name: str) -> None:
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    assert function in {
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_every_promise_names_its_test() -> None:
    rows = re.findall(r"^\| G\d+ \|.*$", (ROOT / "docs/guarantees.md").read_text(), re.MULTILINE)
    assert len(rows) >= 20
    assert all(re.search(r"`tests/[\w/]+\.py::\w+`", row) for row in rows)
    assert [int(row.split()[1][1:]) for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    for target in re.findall(r"`((?:core|server|plugins|docs|bench)/[\w/.]+)`", page.read_text()):
        assert (ROOT / target).exists(), target


def test_every_page_is_listed() -> None:
    listed = re.findall(r"\]\((\w+\.md)\)", (ROOT / "docs/README.md").read_text())
    assert sorted(listed) == [page.name for page in PAGES if page.parent.name == "docs" and page.name != "README.md"]


def test_targets_of_the_readme_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for target in re.findall(r"^    make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE):
        assert target in targets


def test_every_route_is_described() -> None:
    text = (ROOT / "docs/api.md").read_text()
    for routes in BLUEPRINTS.values():
        for route in routes:
            assert f"`{route.method} {route.path.replace('<', '{').replace('>', '}')}" in text, route


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's commands are curl's, and there is none")
def test_commands_of_the_readme_stream_an_answer(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text().partition("## Talk to it")[2].partition("##")[0]
    register, create, ask = re.findall(r"curl (?:.*\\\n)*.*", text)
    server = Server(tmp_path)
    try:
        server.start()

        def run(command: str, until: str = "") -> str:
            command = command.replace("localhost:4512", f"127.0.0.1:{server.port}").replace(
                "curl", "exec curl -sS -m 60", 1
            )
            with subprocess.Popen(command, shell=True, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
                assert running.stdout is not None
                said = ""
                for line in running.stdout:
                    said += line
                    if until and until in line:
                        running.terminate()
                return said

        assert '"role":"admin"' in run(register)
        conversation = re.search(r'"id":"([\w-]+)"', run(create))
        assert conversation is not None
        # The stream stays open after the answer, as it should.
        assert "event: run.completed" in run(ask.replace("ID", conversation[1]), until="event: run.completed")
    finally:
        server.close()
