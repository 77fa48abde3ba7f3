"""Pages in headless Chromium: what they hold when they are drawn, and what they complain of."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--allow-file-access-from-files",
    "--enable-logging=stderr",
    # The page may not ask the network for anything; nor does the browser itself.
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--virtual-time-budget=20000",
)
DARK, LIGHT = "--blink-settings=preferredColorScheme=0", "--blink-settings=preferredColorScheme=1"
_TOLD = re.compile(r'data-told="([^"]*)"')
# Runs a test's own script once the page is drawn, and leaves what comes of it in the page.
_DRIVER = """<script>
(() => {
  const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const run = async () => {
    while (document.documentElement.dataset.drawn !== "yes") await wait(20);
    await wait(500);
    const told = await (async () => {%s})();
    document.documentElement.setAttribute("data-told", JSON.stringify(told));
  };
  run().catch((error) => {
    document.documentElement.setAttribute("data-told", JSON.stringify({ error: `${error}` }));
  });
})();
</script></body>"""
_FRAME = """<!DOCTYPE html><html><body style="margin:0">
<iframe src="page.html" style="width:%dpx;height:4000px;border:0"></iframe>
<script>
(() => {
  const frame = document.querySelector("iframe");
  const look = () => {
    const inside = frame.contentDocument?.documentElement;
    if (inside?.dataset.drawn !== "yes") return setTimeout(look, 50);
    setTimeout(() => document.documentElement.setAttribute("data-told", JSON.stringify(
      { wide: inside.scrollWidth, told: inside.querySelectorAll("svg, canvas").length })), 1500);
  };
  look();
})();
</script></body></html>"""


def browser() -> str:
    """The program; where there is none, the test is skipped."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    return found


def driven(page: bytes, folder: Path, script: str, *flags: str) -> Any:
    """What a script finds in a page that is drawn; nothing was complained of."""
    path = folder / "page.html"
    head, end, tail = page.rpartition(b"</body>")  # a library may hold it, too
    assert end
    path.write_bytes(head + (_DRIVER % script).encode() + tail)
    return _told(path, *flags)


def framed(page: bytes, folder: Path, width: int, *flags: str) -> Any:
    """How wide a page needs to be in a frame of that width, and how many charts it draws."""
    (folder / "page.html").write_bytes(page)
    path = folder / "frame.html"
    path.write_text(_FRAME % width)
    return _told(path, f"--window-size={max(width, 500)},4000", *flags)


def drawn(address: str, folder: Path) -> str:
    """The HTML of a page after its scripts have run."""
    return _run(folder, "--dump-dom", address)


def pictured(page: bytes, folder: Path, *flags: str) -> bytes:
    """A picture of a page, as PNG."""
    (folder / "page.html").write_bytes(page)
    picture = folder / "page.png"
    _run(folder, f"--screenshot={picture}", (folder / "page.html").as_uri(), *flags)
    return picture.read_bytes()


def _told(path: Path, *flags: str) -> Any:
    told = _TOLD.search(_run(path.parent, "--dump-dom", path.as_uri(), *flags))
    assert told is not None, "the page was not drawn"
    return json.loads(html.unescape(told[1]))


def _run(folder: Path, *arguments: str) -> str:
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [browser(), *_FLAGS, profile, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not complaints, complaints
    return done.stdout
