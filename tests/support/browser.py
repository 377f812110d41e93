"""Look at a page with Chromium, without a window: what axe-core finds in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any, Final

from tests.support.skips import skip_without

AXE_VARIABLE: Final = "PATTERN_AGGREGATES_AXE"
_AXE: Final = Path(sys.prefix) / "axe" / "axe_playwright_python" / "axe.min.js"  # where .ci/axe puts it
_TIMEOUT_SECONDS: Final = 180
_RUN: Final = """
axe.run(document, {resultTypes: ["violations"]}).then(found => {
  const out = document.createElement("pre");
  out.id = "axe";
  out.textContent = JSON.stringify(found.violations.map(one => [one.id, one.help, one.nodes.map(node => node.html)]));
  document.body.replaceChildren(out);
});
"""


def find_violations(html: str, folder: Path, *, width: int = 1200, is_dark: bool = False) -> list[Any]:
    """Return what axe-core objects to in a page, with everything in it unfolded: rule, help and elements of each.

    The page's policy, which forbids scripts, is taken out of the copy that is looked at.

    Args:
        html: The page.
        folder: An empty folder for the copy and the browser's profile.
        width: The width of the window in pixels.
        is_dark: Whether the reader prefers dark pages.
    """
    chromium = shutil.which("chromium") or skip_without("Chromium")
    script = Path(os.environ.get(AXE_VARIABLE, _AXE))
    if not script.is_file():
        skip_without("axe-core", f"it is not at {script}; .ci/axe gets it, or {AXE_VARIABLE} names it")
    copy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html).replace("<details>", "<details open>")
    scripts = f"<script>{script.read_text(encoding='utf-8')}</script><script>{_RUN}</script></body>"
    page = folder / "page.html"
    page.write_text(copy.replace("</body>", scripts), encoding="utf-8")
    dumped = subprocess.run(
        [
            *(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"),
            *(f"--blink-settings=preferredColorScheme={0 if is_dark else 1}", f"--window-size={width},1000"),
            *("--virtual-time-budget=60000", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=True,
    ).stdout
    found = re.search(r'<pre id="axe">(.*?)</pre>', dumped, re.DOTALL)
    assert found is not None, dumped[-2000:]
    violations: list[Any] = json.loads(unescape(found[1]))
    return violations
