"""Puts everything that an installation without a network needs into one folder and one archive: ``make bundle ARCH=arm64``.

In it are the wheels of all pins and our own, for every Python that is served, the scripts and units of ``deploy``, pages,
a manifest and checksums, which are signed where ``SIGN`` names a private key (or a public one, the rest of which an agent
has). Any machine makes the bundle of any architecture, as nothing is compiled. The same sources make the same archive, bit
by bit. ``check_bundle`` holds a bundle against the machine that is to run it; ``lib.sh`` installs it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
#: What a processor is called by Debian, and by everybody else.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
#: Debian 12, Ubuntu 24.04, Debian 13.
PYTHONS = ("3.11", "3.12", "3.13")
#: The C library that the wheels may ask for, 2.28 here, as an index has them.
GLIBC = 28
#: Parts of the checkout that come along; of ``deploy``, what serves a checkout alone stays.
PARTS = ("LICENSE", "CHANGELOG.md", "README.md", "docs", "deploy", "requirements/run.txt")
LEFT_OUT = ("__pycache__", ".*", "make_bundle.py", "with_services.py", "write_examples.py")
#: All files of an archive are of the same moment, 2020-01-01, or each would be another one.
MOMENT = 1577836800
#: As ``check_bundle`` has it.
NAMESPACE = "trialogue-bundle"


def main(arguments: Sequence[str]) -> int:
    """Make the bundle of that architecture, in ``dist``; 2 when there is no such."""
    if len(arguments) != 1 or arguments[0] not in MACHINES:
        print(f"ARCH is one of {', '.join(MACHINES)}, and not {' '.join(arguments)!r}", file=sys.stderr)
        return 2
    arch = arguments[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    folder = ROOT / "dist" / f"trialogue-{project['version']}-linux-{arch}"
    shutil.rmtree(folder, ignore_errors=True)
    _gather(folder, MACHINES[arch])
    _seal(folder, arch, project["version"])
    key = os.environ.get("SIGN", "")
    if key:
        sign(folder / "SHA256SUMS", key)
    archive = _pack(folder)
    if key:
        sign(archive, key)
    print(f"{archive.relative_to(ROOT)}: {archive.stat().st_size / 1e6:.0f} MB, SHA-256 {_sha256(archive)}")
    return 0


def _gather(folder: Path, machine: str) -> None:
    for part in PARTS:
        source, place = ROOT / part, folder / part
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place, ignore=shutil.ignore_patterns(*LEFT_OUT))
        else:
            shutil.copy2(source, place)
    wheels = folder / "wheels"
    for python in PYTHONS:
        print(f"fetching the wheels of Python {python} for {machine}", flush=True)
        _download(wheels, machine, python)
    _pip("wheel", "--no-index", "--no-build-isolation", "--no-deps", "--wheel-dir", str(wheels), str(ROOT))


def _download(wheels: Path, machine: str, python: str) -> None:
    """The wheels of all pins as that Python would choose them there; no source, and nothing that has no hash."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC, 4, -1)]
    platforms += [f"manylinux{year}_{machine}" for year in ("2014", "2010", "1")]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins((ROOT / "requirements/run.txt").read_text(), machine, python)))
        file.flush()
        words = [f"--platform={one}" for one in platforms]
        words += [f"--python-version={python}", "--implementation=cp", "--only-binary=:all:"]
        _pip("download", "--require-hashes", "--no-deps", *words, "--dest", str(wheels), "-r", file.name)


def pins(text: str, machine: str, python: str) -> Iterator[str]:
    """The pins of a file that count there, without their markers: pip would hold those against the Python it runs on."""
    there = {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    for line in text.replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            name, *hashes = line.split("--hash=")
            pin = Requirement(name)
            if pin.marker is None or pin.marker.evaluate(there):
                yield " ".join([f"{pin.name}{pin.specifier}", *(f"--hash={one.strip()}" for one in hashes)])


def _pip(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words], check=True)


def _seal(folder: Path, arch: str, version: str) -> None:
    """Say what is in it, and the checksum of each file."""
    manifest = {
        "version": version,
        "arch": arch,
        "machine": MACHINES[arch],
        "pythons": PYTHONS,
        "glibc": f"2.{GLIBC}",
        "commit": _commit(),
        "packages": [_package(wheel) for wheel in sorted((folder / "wheels").iterdir())],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    files = sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())
    sums = "".join(f"{_sha256(folder / name)}  {name}\n" for name in files)
    (folder / "SHA256SUMS").write_text(sums)


def sign(file: Path, key: str) -> None:
    """Write ``file.sig`` beside it, for ``ssh-keygen -Y verify``."""
    file.with_name(f"{file.name}.sig").unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", key, str(file)], check=True)


def _package(wheel: Path) -> dict[str, str]:
    with ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.count("/") == 1 and one.endswith(".dist-info/METADATA"))
        said = Parser().parsestr(archive.read(name).decode())
    classifiers = [one for one in said.get_all("Classifier", []) if one.startswith("License :: ")]
    # The oldest field may hold a whole text: its first line names it.
    found = said["License-Expression"] or (said["License"] or "").strip().partition("\n")[0]
    licence = found or "; ".join(one.rpartition(" :: ")[2] for one in classifiers) or "not said"
    return {"name": said["Name"], "version": said["Version"], "licence": licence, "wheel": wheel.name}


def _commit() -> str:
    """The commit of the checkout, with `-dirty` where it is not quite that one; empty where git knows none."""
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def _pack(folder: Path) -> Path:
    """The archive; wheels are compressed already."""
    archive = folder.parent / f"{folder.name}.tar"
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as tar:
        for path in [folder, *sorted(folder.rglob("*"))]:
            tar.add(path, path.relative_to(folder.parent).as_posix(), recursive=False, filter=_plain)
    archive.with_name(f"{archive.name}.sha256").write_text(f"{_sha256(archive)}  {archive.name}\n")
    return archive


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Root's, and of no moment and no machine in particular."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mtime = MOMENT
    member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return member


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
