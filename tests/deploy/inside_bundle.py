"""Runs inside a booted machine without a network, as its root, with nothing but Python: the bundle is all it has.

What came of each check goes into a file that ``test_bundled_machine`` reads outside.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy import inside
from deploy.inside import ask, call, events, note, ready, run, show, text_of, until

OPT = Path("/opt/trialogue")
SAID: dict[str, str] = {}


def bundle() -> Path:
    return next(Path("/").glob("trialogue-*-linux-*"))


def script(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One of the bundle's scripts, as an administrator would call it."""
    words = ["sh", str(bundle() / "deploy" / name), *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=600 * inside.SLOWER, check=False)


def refused(name: str, *arguments: str) -> str:
    """Why it did nothing."""
    ended = script(name, *arguments)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "nothing was changed" in ended.stderr
    return ended.stderr


def versions() -> list[str]:
    return sorted(one.name for one in OPT.glob("*") if one.is_dir() and not one.is_symlink())


@contextmanager
def changed(path: Path, content: bytes | None) -> Iterator[None]:
    """That file with other content, or without it, for a while."""
    kept = Path(f"/kept-{path.name}")
    path.rename(kept)
    try:
        if content is not None:
            path.write_bytes(content)
        yield
    finally:
        kept.replace(path)


def wheel(name: str) -> Path:
    return next((bundle() / "wheels").glob(f"{name}-*.whl"))


# --- the checks, in their order ----------------------------------------------------------------------------------


def machine_has_no_network() -> None:
    assert os.listdir("/sys/class/net") == ["lo"]


def unpacks_whole() -> None:
    run("tar", "-xf", "/bundle.tar", "-C", "/")
    run("sh", "-c", f"cd {bundle()} && sha256sum --check --strict --quiet SHA256SUMS")


def damaged_bundle_is_not_installed() -> None:
    with changed(wheel("trio"), None):
        assert "is missing" in refused("install")
    assert versions() == []
    assert not Path("/etc/trialogue").exists()


def installs_and_serves() -> None:
    began = time.monotonic()
    ended = script("install")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    note(f"installed in {time.monotonic() - began:.0f} s on Python {sys.version.split()[0]}")
    until(ready, 60)
    inside.COOKIE = call("POST", "/api/auth/register", {"email": "a@b.org", "password": "correct horse", "name": "A"})


def every_plugin_is_usable() -> None:
    said = run(str(OPT / "current/bin/trialogue"), "plugins")
    assert "set aside" not in said, said


def answers_with_the_model_that_comes_along() -> None:
    assert "local:" in show("StatusText"), show("StatusText")
    name = ask("Say hello.")
    kinds = list(events(name))
    assert kinds[-1] == "run.completed", kinds[-5:]
    assert "part.delta" in kinds, kinds[:10]
    SAID[name] = text_of(name)
    assert SAID[name]


def restart_keeps_what_was_said() -> None:
    run("systemctl", "restart", "trialogue")
    until(ready, 60)
    assert {name: text_of(name) for name in SAID} == SAID


def tampered_bundle_leaves_what_serves() -> None:
    before, serves = versions(), show("MainPID")
    manifest = json.loads((bundle() / "manifest.json").read_text())
    other = json.dumps(manifest | {"machine": "riscv64", "arch": "riscv64", "pythons": ["3.8"]}).encode()
    for path, content, words in (
        (wheel("trio"), wheel("trio").read_bytes()[:-1], "is not as it was packed"),
        (wheel("quart_trio"), None, "is missing"),
        (bundle() / "manifest.json", other, "is for riscv64"),
        (bundle() / "manifest.json", other, "serves Python 3.8"),
        (bundle() / "manifest.json", None, "does not say its version"),
    ):
        with changed(path, content):
            # With a version of that name, or it would be in place already.
            said = refused("upgrade", *([] if words.startswith("does not") else ["9.9"]))
        assert words in said, said
    assert (versions(), show("MainPID")) == (before, serves)


def upgrades_to_itself_under_another_name() -> None:
    ended = script("upgrade", "9.9")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert str((OPT / "current").readlink()) == "9.9"
    until(ready, 60)
    assert {name: text_of(name) for name in SAID} == SAID


def uninstalls_and_keeps_data() -> None:
    ended = script("uninstall")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not OPT.exists()
    assert Path("/var/lib/trialogue/trialogue.db").exists()


CHECKS = (
    machine_has_no_network,
    unpacks_whole,
    damaged_bundle_is_not_installed,
    installs_and_serves,
    every_plugin_is_usable,
    answers_with_the_model_that_comes_along,
    restart_keeps_what_was_said,
    tampered_bundle_leaves_what_serves,
    upgrades_to_itself_under_another_name,
    uninstalls_and_keeps_data,
)


def main() -> None:
    """All of them, whatever came of the ones before."""
    results: dict[str, str] = {}
    for check in CHECKS:
        began = time.monotonic()
        try:
            check()
            results[check.__name__] = "ok"
        except Exception:
            journal = run("journalctl", "-u", inside.UNIT, "-n", "40", "--no-pager", check=False)
            results[check.__name__] = f"{traceback.format_exc()}\n{journal}"
        note(f"{check.__name__}: {results[check.__name__][:2]} in {time.monotonic() - began:.1f} s")
        inside.RESULTS.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
