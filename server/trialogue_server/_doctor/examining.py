"""Carries out the checks, each within its time, and shows what they found."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec
import trio

from trialogue import ConfigurationError, Finding, load_plugins
from trialogue_server._doctor.configuration import check_exposure, check_settings
from trialogue_server._doctor.machine import check_limits, check_python, check_time
from trialogue_server._doctor.parts import (
    check_plugins,
    check_providers,
    check_redis,
    check_storage,
    check_telemetry,
)
from trialogue_server._doctor.patient import Check, Patient, as_told, wrong
from trialogue_server._doctor.places import check_files, check_port
from trialogue_server._settings.masking import mask
from trialogue_server._settings.settings import Loaded

#: Seconds for one check.
PATIENCE = 30.0
CHECKS: Mapping[str, Check] = {
    "python": check_python,
    "limits": check_limits,
    "time": check_time,
    "settings": check_settings,
    "exposure": check_exposure,
    "plugins": check_plugins,
    "storage": check_storage,
    "files": check_files,
    "redis": check_redis,
    "providers": check_providers,
    "port": check_port,
    "telemetry": check_telemetry,
}

_MARKS = {"right": "✓", "doubtful": "!", "wrong": "✗"}
_PLAIN = {"right": "ok", "doubtful": "??", "wrong": "NO"}


def run(load: Callable[[], Loaded], *, ask: bool, as_json: bool) -> int:
    """Look at everything, and print it; 2 when something is wrong, else 0."""
    logging.getLogger("trialogue").addHandler(logging.NullHandler())  # What it would say is found as well.
    try:
        config, sources = load()
    except ConfigurationError as error:
        found: Sequence[Finding] = [as_told("settings", error)]
    else:
        plugins = load_plugins(disabled=config.disabled_plugins)
        found = trio.run(examine, Patient(config, sources, os.environ, plugins, ask))
    _show(found, as_json=as_json)
    return 2 if any(one.state == "wrong" for one in found) else 0


async def examine(patient: Patient) -> list[Finding]:
    """All findings, in the order of the checks."""
    return [finding for name, check in CHECKS.items() for finding in await _within_time(name, check, patient)]


async def _within_time(name: str, check: Check, patient: Patient) -> Sequence[Finding]:
    with trio.move_on_after(PATIENCE):
        try:
            return await check(patient)
        except Exception as error:  # A check that fails is a finding, and the others go on.
            return [wrong(name, f"this check failed: {error!r}", "tell whoever wrote it, please")]
    return [wrong(name, f"this check took longer than {PATIENCE:g} s", "something it asks hangs: see what")]


def _show(found: Sequence[Finding], *, as_json: bool) -> None:
    found = [msgspec.structs.replace(one, detail=mask(one.detail), fix=mask(one.fix)) for one in found]
    if as_json:
        print(msgspec.json.encode({"findings": found}).decode())
        return
    marks = _MARKS if "utf" in (sys.stdout.encoding or "").lower() else _PLAIN
    width = max(len(one.what) for one in found)
    for one in found:
        print(f"{marks[one.state]} {one.what:<{width}}  {one.detail}")
        if one.fix:
            print(f"  {'':<{width}}  -> {one.fix}")
    wrongs, doubts = (sum(one.state == state for one in found) for state in ("wrong", "doubtful"))
    print(f"\n{wrongs} wrong, {doubts} doubtful" if wrongs or doubts else "\nAll is well.")
