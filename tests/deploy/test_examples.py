"""The example configurations name every setting there is, change nothing as they come, and hold when uncommented."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

import pytest

from trialogue_server._settings.settings import load_settings
from trialogue_server.config import SETTINGS, Config

DEPLOY = Path(__file__).parents[2] / "deploy"
WRITTEN = runpy.run_path(str(DEPLOY / "write_examples.py"))


@pytest.mark.parametrize("kind", ["toml", "env"])
def test_example_is_what_the_settings_say(kind: str) -> None:
    assert (DEPLOY / f"trialogue.{kind}").read_text() == WRITTEN[kind](), (
        "write it anew: python deploy/write_examples.py"
    )


def uncommented(kind: str) -> str:
    """The example with every setting in force; what is told of them is left out."""
    lines = (DEPLOY / f"trialogue.{kind}").read_text().splitlines()
    return "\n".join(line[1:] for line in lines if line.startswith("#") and not line.startswith("# ")) + "\n"


def test_file_with_every_line_in_force_means_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "trialogue.toml"
    path.write_text(uncommented("toml"))
    assert set(tomllib.loads(path.read_text())) == {one.name for one in SETTINGS}
    assert load_settings({}, {}, file=str(path)).config == Config()


def test_variables_with_every_line_in_force_mean_the_defaults() -> None:
    variables = dict(line.partition("=")[::2] for line in uncommented("env").splitlines())
    assert set(variables) == {one.variable for one in SETTINGS}
    assert load_settings({}, variables).config == Config()
