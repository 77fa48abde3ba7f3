"""Writes THIRD-PARTY-LICENSES.txt: the licences of all that is compiled into the wheels.

    python release/licenses.py            writes it anew, as after a change of Cargo.lock
    python release/licenses.py --check    fails if it is not as it should be, for the tests

Packages are those that some wheel holds: `cargo metadata` tells them for each target. What runs
only while the core is built is not shipped, and not named: build scripts and macros.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "release" / "THIRD-PARTY-LICENSES.txt"
CRATE = "edxlogs-python"
TARGETS = tuple(
    f"{cpu}-{system}"
    for system in ("unknown-linux-gnu", "unknown-linux-musl", "apple-darwin")
    for cpu in ("x86_64", "aarch64")
)
# What may be shipped in a work under Apache-2.0: these ask only that their text goes along.
ALLOWED = {
    *("Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "MIT"),
    *("Unicode-3.0", "Unlicense", "Zlib"),
}
_NAMES = re.compile(r"(?i)^(licen[sc]e|copying|notice|unlicense|copyright)([-._].*)?$")
# Where sources of other languages are kept in a crate, which bring a licence of their own.
_BUNDLED = {
    "zstd-sys": ("zstd/LICENSE",),
    "libmimalloc-sys": ("c_src/mimalloc/v2/LICENSE", "c_src/mimalloc/v3/LICENSE"),
}
_RULE = "=" * 80

Package = dict[str, Any]


def main(words: list[str]) -> int:
    """Write the file, or say whether it is as it should be."""
    text = document(shipped())
    if words != ["--check"]:
        PLACE.write_text(text, "utf-8")
        return 0
    if PLACE.exists() and PLACE.read_text("utf-8") == text:
        return 0
    print(f"{PLACE.name}: is of other packages; run: python release/licenses.py", file=sys.stderr)
    return 1


def shipped() -> list[Package]:
    """The packages of others that some wheel holds, by name."""
    found: dict[str, Package] = {}
    for target in TARGETS:
        told = _metadata(target)
        packages = {one["id"]: one for one in told["packages"]}
        nodes = {one["id"]: one for one in told["resolve"]["nodes"]}
        first = next(key for key, one in packages.items() if one["name"] == CRATE)
        pending, seen = [first], {first}
        while pending:
            key = pending.pop()
            if packages[key]["source"] is not None:
                found[key] = packages[key]
            for below in nodes[key]["deps"]:
                is_used = any(kind["kind"] is None for kind in below["dep_kinds"])
                if is_used and below["pkg"] not in seen and not _is_macro(packages[below["pkg"]]):
                    seen.add(below["pkg"])
                    pending.append(below["pkg"])
    return sorted(found.values(), key=lambda one: (one["name"], one["version"]))


def _metadata(target: str) -> Any:
    words = ("cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    return json.loads(done.stdout)


def _is_macro(package: Package) -> bool:
    return any("proc-macro" in target["kind"] for target in package["targets"])


def licence(package: Package) -> str:
    """The SPDX expression of a package, in today's spelling.

    Raises:
        SystemExit: it names a licence that is not allowed, and offers no other.
    """
    expression = re.sub(r"\s*/\s*", " OR ", package["license"] or "none")
    # In all of them a package may be had by one licence of each part that is joined by AND.
    for part in re.split(r"\s+AND\s+", expression):
        if ALLOWED.isdisjoint(re.split(r"\s+OR\s+", part.strip("()"))):
            sys.exit(f"{package['name']} {package['version']}: {expression}: is not allowed")
    return str(expression)


def _texts(package: Package) -> Iterator[str]:
    """The texts that a package brings: licences, and notices of who has a right to what."""
    folder = Path(package["manifest_path"]).parent
    names = sorted(one.name for one in folder.iterdir() if one.is_file())
    places = [name for name in names if _NAMES.match(name)]
    for place in [*places, *_BUNDLED.get(package["name"], ())]:
        yield _clean((folder / place).read_text("utf-8", "replace"))


def _clean(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def document(packages: list[Package]) -> str:
    """The whole file: a table of the packages, and each text once, with the names it is for."""
    width = max(len(f"{one['name']} {one['version']}") for one in packages)
    table, holders = [], defaultdict[str, list[str]](list)
    for one in packages:
        name = f"{one['name']} {one['version']}"
        table.append(f"{name:{width}}  {licence(one)}")
        for text in _texts(one):
            if name not in holders[text]:
                holders[text].append(name)
    parts = [
        "The compiled module of edxlogs, which is under the Apache License 2.0, holds code of\n"
        "these packages from crates.io. Their texts follow, each with the packages that bring it.\n"
        "\n"
        "It also holds the Rust standard library (MIT OR Apache-2.0, https://www.rust-lang.org),\n"
        "copyright of the Rust Project's contributors.",
        "\n".join(table),
    ]
    for text, names in holders.items():
        parts.append(f"{_RULE}\n{', '.join(names)}\n{_RULE}\n\n{text}")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
