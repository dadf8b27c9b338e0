"""The house: folders, the wheel, the tools' settings and the entry points name the same packages, and dependencies
point one way: server -> core <- plugins.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import trialogue

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())  # Any: as TOML has it.

#: Folders whose children are what is imported.
ROOTS = ["core", "server", *sorted(f"plugins/{one.name}" for one in (ROOT / "plugins").iterdir() if one.is_dir())]
PACKAGES = sorted(
    one.relative_to(ROOT).as_posix() for root in ROOTS for one in (ROOT / root).iterdir() if one.name[0] not in "._"
)
PLUGINS = [package for package in PACKAGES if package.startswith("plugins/")]


def in_project(path: str) -> Any:
    value: Any = PROJECT
    for key in path.split("."):
        value = value[key]
    return value


def imports(package: str) -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    """Every import in a package, nested ones included: the file, the module, and the names taken from it."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path, one.name, ()) for one in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}:{node.lineno}: imports are written in full"
                yield path, node.module or "", tuple(one.name for one in node.names)


def imported_packages(package: str) -> set[str]:
    return {module.partition(".")[0] for _, module, _ in imports(package)}


# --- one list of packages ----------------------------------------------------------------------------------------


def test_wheel_holds_every_package() -> None:
    assert sorted(in_project("tool.hatch.build.targets.wheel.packages")) == PACKAGES


@pytest.mark.parametrize(
    "key", ["tool.hatch.build.dev-mode-dirs", "tool.mypy.mypy_path", "tool.pyright.extraPaths", "tool.ruff.src"]
)
def test_tools_look_where_packages_are(key: str) -> None:
    assert sorted(set(in_project(key)) - {"tests"}) == sorted(ROOTS)


def test_each_package_is_typed_and_introduces_itself() -> None:
    for package in PACKAGES:
        assert (ROOT / package / "py.typed").is_file(), package
        init = ROOT / package / "__init__.py"
        assert init.is_file(), package
        assert ast.get_docstring(ast.parse(init.read_text())), package


def test_each_plugin_is_an_entry_point_under_its_short_name() -> None:
    expected = {Path(package).name.removeprefix("trialogue_"): Path(package).name for package in PLUGINS}
    assert in_project("project.entry-points.trialogue") == expected


def test_installed_entry_points_are_the_projects() -> None:
    installed = {
        one.name: one.value for one in entry_points(group="trialogue") if one.dist and one.dist.name == "trialogue"
    }
    assert installed == in_project("project.entry-points.trialogue"), "install again: make test"


def test_every_file_introduces_itself() -> None:
    sources = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    assert [str(path) for path in sources if not ast.get_docstring(ast.parse(path.read_text()))] == []


# --- one direction -----------------------------------------------------------------------------------------------

SERVER = "trialogue_server"
PLUGIN_NAMES = {Path(package).name for package in PLUGINS}


def test_core_imports_neither_server_nor_plugins() -> None:
    assert imported_packages("core/trialogue") & {SERVER, *PLUGIN_NAMES} == set()


#: The one place of core that speaks HTTP: a library for providers, which nothing else of core imports when it starts.
HTTP = ROOT / "core/trialogue/upstreams"


def test_core_knows_no_http_and_no_sql() -> None:
    web = {"quart", "quart_trio", "hypercorn", "h11", "httpx2", "openai", "anthropic", "http"}
    used = {module.partition(".")[0] for path, module, _ in imports("core/trialogue") if HTTP not in path.parents}
    assert used & web == set()
    assert imported_packages("core/trialogue") & {"apsw", "sqlite3", "openai", "anthropic"} == set()


def test_importing_core_speaks_no_http() -> None:
    web = {"httpx2", "h11", "trialogue.upstreams"}
    code = f"import sys, trialogue, trialogue.sdk_provider; print(*{web} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_server_imports_no_plugin() -> None:
    assert imported_packages("server/trialogue_server") & PLUGIN_NAMES == set()


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_imports_no_server_and_no_other_plugin(plugin: str) -> None:
    others = PLUGIN_NAMES - {Path(plugin).name}
    assert imported_packages(plugin) & {SERVER, *others} == set()


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_plugin_takes_only_public_names(plugin: str) -> None:
    """As a third party's would have to."""
    wrong = [
        f"{path.relative_to(ROOT)}: {module} {name}"
        for path, module, names in imports(plugin)
        if module.partition(".")[0] == "trialogue"
        for name in names or ("",)
        if "._" in module or name.startswith("_") or (module == "trialogue" and name not in trialogue.__all__)
    ]
    assert wrong == []


def test_loading_plugins_imports_no_sdk() -> None:
    """A start pays for what is used, and one that is missing is told in words."""
    sdks = {"openai", "anthropic", "httpx2", "xllamacpp", "onnxruntime", "numpy"}
    code = f"import sys, trialogue; trialogue.load_plugins(); print(*{sdks} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
