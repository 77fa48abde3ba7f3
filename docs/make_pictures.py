"""Make the pictures of the README: `edxlogs summary` on the demo's logs, its screen and its page.

It needs gpg and Chromium. What comes of it depends on the fonts and the browser of the machine, so
look at the pictures before you commit them.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from edxlogs.generator import keys

FOLDER = Path(__file__).parent / "pictures"
SCREEN, PAGE = FOLDER / "summary.svg", FOLDER / "report.png"
COLUMNS = 110  # of the terminal
WINDOW = (1180, 1195)
SCALE = 0.8
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# That of rich, without fonts from elsewhere: a picture in a page may load none.
SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" \
xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; \
font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-family: sans-serif; font-size: 18px; font-weight: bold; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" \
height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def screen(typed: str, shown: str) -> str:
    """A terminal with a command and what it shows, as SVG."""
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False
    )
    console.print(Text.assemble(("$ ", "bold green"), (typed, "bold")))
    console.print(Text(shown))
    return console.export_svg(title="edxlogs", theme=MONOKAI, code_format=SVG, unique_id="terminal")


def photograph(page: Path, picture: Path) -> None:
    """Take a picture of the top of a page in headless Chromium, scaled down."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        sys.exit("Chromium is missing: apt-get install chromium")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    flags += [f"--user-data-dir={page.parent / 'profile'}", "--virtual-time-budget=20000"]
    flags += ["--blink-settings=preferredColorScheme=1", f"--force-device-scale-factor={SCALE}"]
    flags += [f"--window-size={','.join(map(str, WINDOW))}", f"--screenshot={picture}"]
    subprocess.run([browser, *flags, page.as_uri()], check=True, capture_output=True)


def edxlogs(folder: Path, *words: str, **environment: str) -> str:
    """What a command shows on a terminal."""
    told: Mapping[str, str] = {**os.environ, "COLUMNS": str(COLUMNS), **environment}
    command = [sys.executable, "-m", "edxlogs", *words]
    done = subprocess.run(command, cwd=folder, env=told, capture_output=True, check=True)
    return (done.stdout + done.stderr).decode()


def main() -> int:
    """Make both."""
    FOLDER.mkdir(exist_ok=True)
    with keys.home() as folder:
        edxlogs(folder, "demo", "try")
        words = ["summary", "try/logs"]
        environment = {"GNUPGHOME": str(folder / "try/gnupg")}
        shown = edxlogs(folder, *words, **environment)
        SCREEN.write_text(screen(f"edxlogs {' '.join(words)}", shown))
        edxlogs(folder, *words, "-o", "report.html", **environment)
        photograph(folder / "report.html", PAGE)
        keys.kill_agents(folder / "try/gnupg")
    for path in (SCREEN, PAGE):
        print(f"{path.relative_to(FOLDER.parents[1])}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
