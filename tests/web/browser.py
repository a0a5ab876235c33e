"""A browser with an exported page, driven by web/test/page.mjs."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")

found = [path for name in NAMES if (path := shutil.which(name))]
BROWSER = os.environ.get("DISTIL_BROWSER") or (found[0] if found else None)
MISSING = [
    what
    for what, there in (
        ("Node.js", shutil.which("node")),
        (f"a browser ({', '.join(NAMES)}, or its path in DISTIL_BROWSER)", BROWSER),
        ("what `npm ci` in web/ installs", (WEB / "node_modules" / "playwright-core").is_dir()),
    )
    if not there
]

needs_browser = pytest.mark.skipif(bool(MISSING), reason=f"missing here: {'; '.join(MISSING)}")


@contextmanager
def opened(site):
    """Serve a folder to a browser; gives a function that takes a step and returns what it shows."""
    process = subprocess.Popen(
        ["node", str(WEB / "test" / "page.mjs"), str(site), BROWSER, "--disable-gpu"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip

    def step(name, given):
        process.stdin.write(json.dumps({name: given}) + "\n")
        process.stdin.flush()
        said = json.loads(process.stdout.readline())
        assert said["elsewhere"] == []
        state = said["state"]
        return {**state, **said, "state": None} if isinstance(state, dict) else state

    with process:
        yield step
        process.stdin.close()
    assert process.returncode == 0
