"""Fetch the page's third-party modules from their npm packages and check them against ``vendor.json``.

    python server/trialogue_server/page/vendoring.py              fetch the recorded versions; refuse what has other bytes
    python server/trialogue_server/page/vendoring.py --record     take each package's newest version and record its hashes

``vendor.json`` names for each package its version, its licence, the module taken from it and every sha256. Files are kept
byte for byte as published; a module carries its version and hash in its name, so that browsers may keep it for ever, and a
one-line alias (``marked.js``) gives it the stable name that the page's modules import. Needs npm, and only here.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, TypeAlias

HERE = Path(__file__).parent
RECORD = HERE / "vendor.json"
FOLDER = HERE / "vendor"

Package: TypeAlias = dict[str, Any]  # Any: an entry of vendor.json, whose shape the record itself shows.


def sha256(data: bytes) -> str:
    """The hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def packages() -> list[Package]:
    """The packages as recorded."""
    recorded: list[Package] = json.loads(RECORD.read_text())["packages"]
    return recorded


def alias(package: Package) -> str:
    """The source of the module that gives a vendored one its stable name."""
    what = "{ default }" if package["default_export"] else "*"
    return f'// Written by vendoring.py.\nexport {what} from "./{package["file"]}";\n'


def expected_files() -> dict[str, str]:
    """Every file of the vendor folder, with its sha256, as ``vendor.json`` wants them."""
    files: dict[str, str] = {}
    for package in packages():
        files[package["file"]] = package["sha256"]
        files[f"{package['alias']}.js"] = sha256(alias(package).encode())
        files |= {licence["file"]: licence["sha256"] for licence in package["licence_files"]}
    return files


def pack(spec: str, folder: Path) -> Path:
    """The package's tarball, fetched by npm from the registry it is configured for."""
    done = subprocess.run(
        ["npm", "pack", spec, "--json", "--pack-destination", str(folder)], check=True, capture_output=True, text=True
    )
    # A list of what was packed; npm 12 answers with an object by name.
    answer: list[Package] | dict[str, Package] = json.loads(done.stdout)
    [packed] = answer if isinstance(answer, list) else answer.values()
    return folder / str(packed["filename"]).lstrip("@").replace("/", "-")


def member(tarball: Path, name: str) -> bytes:
    """The bytes of one file of the package."""
    with tarfile.open(tarball) as archive:
        found = archive.extractfile(f"package/{name}")
        if found is None:
            raise SystemExit(f"{tarball.name} has no file {name!r}")
        return found.read()


def record(package: Package, tarball: Path) -> None:
    """Write the version, the name and the hashes of what is in ``tarball`` into the entry."""
    about = json.loads(member(tarball, "package.json"))
    module = member(tarball, package["module"])
    package["version"], package["licence"] = about["version"], about["license"]
    package["tarball_sha256"], package["sha256"] = sha256(tarball.read_bytes()), sha256(module)
    package["file"] = f"{package['alias']}-{about['version']}-{package['sha256'][:10]}.js"
    for licence in package["licence_files"]:
        licence["sha256"] = sha256(member(tarball, licence["source"]))


def check(name: str, data: bytes, wanted: str) -> bytes:
    """``data`` if it has the recorded hash; ends the program otherwise."""
    if sha256(data) != wanted:
        raise SystemExit(f"{name} has sha256 {sha256(data)}, but vendor.json records {wanted}: nothing was written")
    return data


def contents(package: Package, tarball: Path) -> dict[str, bytes]:
    """The files to write for a package, each checked."""
    check(tarball.name, tarball.read_bytes(), package["tarball_sha256"])
    files = {package["file"]: check(package["file"], member(tarball, package["module"]), package["sha256"])}
    for licence in package["licence_files"]:
        files[licence["file"]] = check(licence["file"], member(tarball, licence["source"]), licence["sha256"])
    return files | {f"{package['alias']}.js": alias(package).encode()}


def main(arguments: list[str]) -> None:
    """Fetch, check and write; with ``--record`` take the newest versions first."""
    newest = arguments == ["--record"]
    if arguments and not newest:
        raise SystemExit(__doc__)
    wanted = packages()
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for package in wanted:
            spec = package["name"] if newest else f"{package['name']}@{package['version']}"
            tarball = pack(spec, Path(folder))
            if newest:
                record(package, tarball)
            files |= contents(package, tarball)
    write(files)
    if newest:
        RECORD.write_text(json.dumps({"packages": wanted}, indent=2) + "\n")


def write(files: dict[str, bytes]) -> None:
    """Make the vendor folder hold exactly ``files``."""
    FOLDER.mkdir(exist_ok=True)
    for stale in set(FOLDER.iterdir()) - {FOLDER / name for name in files}:
        stale.unlink()
    for name, data in files.items():
        (FOLDER / name).write_bytes(data)
        print(f"{sha256(data)[:12]}  {len(data):>8}  vendor/{name}")


if __name__ == "__main__":
    main(sys.argv[1:])
