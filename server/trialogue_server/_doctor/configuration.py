"""Settings and secrets as they are given, and who can reach the server with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

from trialogue import Finding
from trialogue_server._doctor.patient import Patient, doubtful, right
from trialogue_server._settings.masking import mask
from trialogue_server.config import SETTINGS, Config


async def check_settings(patient: Patient) -> Sequence[Finding]:
    """What is set, and by what."""
    places = sorted({source for source in patient.sources.values() if source != "default"})
    count = sum(source != "default" for source in patient.sources.values())
    told = f"{count} settings, from {', '.join(places)}" if count else "all settings have their defaults"
    return [right("settings", told), *_of_secrets(patient)]


def _of_secrets(patient: Patient) -> Iterator[Finding]:
    for setting in SETTINGS:
        source, value = patient.sources[setting.name], str(getattr(patient.config, setting.name))
        if source == "default" or not (setting.is_secret or mask(value) != value):
            continue
        if source.startswith("--"):
            yield doubtful(
                "secrets",
                f"{setting.name} holds a secret and stands on the command line, which everybody on the machine can read",
                f"set {setting.variable}, or {setting.name} in a file",
            )
        elif Path(source).is_file() and Path(source).stat().st_mode & 0o004:
            detail = f"{setting.name} holds a secret, and everybody on the machine can read {source!r}"
            yield doubtful("secrets", detail, f"chmod o-r {source}")
    for name, value in sorted(patient.environment.items()):
        if name.endswith(("_API_KEY", "_SECRET", "_TOKEN")) and value != value.strip():
            yield doubtful("secrets", f"{name} begins or ends with blanks", f"set {name} without them")


async def check_exposure(patient: Patient) -> Sequence[Finding]:
    """Whom the server lets in, and whether what they say is encrypted on its way."""
    config = patient.config
    found: list[Finding] = []
    if not _is_local(config.host) and not config.public_url.startswith("https:"):
        detail = f"it listens on {config.host} without TLS: passwords and answers can be read on their way"
        found.append(doubtful("exposure", detail, "put a proxy with TLS in front, and set public_url=https://..."))
    if config.public_url.startswith("https:") and not config.trusted_proxies:
        detail = "browsers come through a proxy (public_url), and no proxy is trusted: all clients count as one address"
        found.append(doubtful("exposure", detail, "set trusted_proxies to the proxy's address"))
    if config.registration == "open" and _is_public(config):
        detail = "everybody who reaches the server may make an account"
        found.append(doubtful("exposure", detail, "set registration=invite or registration=closed"))
    return found or [right("exposure", f"it listens on {config.host}{_behind(config)}")]


def _behind(config: Config) -> str:
    return f", behind {config.public_url}" if config.public_url else ""


def _is_public(config: Config) -> bool:
    return bool(config.public_url) or not _is_local(config.host)


def _is_local(host: str) -> bool:
    if host.startswith("unix:") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False  # A name that leads who knows where.
