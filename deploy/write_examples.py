"""Writes the example configurations anew, from the table of settings: ``python deploy/write_examples.py``.

Every line is a comment that tells the default, so that a copy changes nothing until somebody
edits it. A test compares the files with what this writes.
"""

from __future__ import annotations

from pathlib import Path

from trialogue_server.config import SETTINGS, Config, Setting

HERE = Path(__file__).parent

TOML_HEAD = """\
# Settings of Trialogue, all there are, with their defaults. Remove the # before a line to change it; then
# `systemctl reload trialogue`. `trialogue config` says what is in force and where it came from.
# Secrets do not belong here but into /etc/trialogue/credentials, a file each.
"""
ENV_HEAD = """\
# The same settings as variables, which go before the file; and what providers read. Remove the # before a line to change
# it; then `systemctl restart trialogue`, as systemd reads this file at a start only.
# Secrets (OPENAI_API_KEY, ANTHROPIC_API_KEY, a TRIALOGUE_STORAGE_URL with a password) belong into
# /etc/trialogue/credentials, a file each, named like the variable.
"""


def toml() -> str:
    """``trialogue.toml``."""
    return TOML_HEAD + "".join(f"\n# {one.doc}\n#{one.name} = {one.show(Config())}\n" for one in SETTINGS)


def env() -> str:
    """``trialogue.env``."""
    return ENV_HEAD + "".join(f"\n# {one.doc}\n#{one.variable}={_value(one)}\n" for one in SETTINGS)


def _value(setting: Setting) -> str:
    value = getattr(Config(), setting.name)
    if setting.is_list:
        return ",".join(map(str, value))
    if setting.is_table:
        return ";".join(f"{name}={','.join(row) if setting.has_lists else row}" for name, row in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)


def main() -> None:
    """Write both."""
    (HERE / "trialogue.toml").write_text(toml())
    (HERE / "trialogue.env").write_text(env())


if __name__ == "__main__":
    main()
