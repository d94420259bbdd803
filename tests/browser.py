"""A real headless Chromium, driven as a person drives it: go to a page, read it, click on what it says, type.

Chromium's own protocol over a WebSocket; nothing is installed for it but the browser.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0",
    "--window-size=1400,1000",
)  # fmt: skip
#: The innermost element that is seen and says a text: a button or link before anything else.
_FIND = """
(text => {
  const seen = element => element.getClientRects().length && getComputedStyle(element).visibility !== 'hidden';
  const found = [...document.querySelectorAll('button, a, label, input, textarea, p, span, div, h1, h2, td, li, strong')]
    .filter(element => seen(element) && (element.innerText || element.placeholder || '').trim().startsWith(text));
  const rank = element => (/^(BUTTON|A)$/.test(element.tagName) ? 0 : 1e6) + element.innerText.length;
  found.sort((one, other) => rank(one) - rank(other));
  return found[0];
})
"""


class Page:
    """One tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._last = 0
        self._call("Page.enable")

    def go(self, url: str) -> None:
        """Open an address."""
        self._call("Page.navigate", url=url)

    def says(self, text: str, seconds: float = 30) -> bool:
        """Wait until the page says a text."""
        return self._holds(f"document.body && document.body.innerText.includes({json.dumps(text)})", seconds)

    def click(self, text: str, seconds: float = 30) -> None:
        """Click on the button, link or text that begins so, where it is on the screen."""
        assert self._holds(f"!!{_FIND}({json.dumps(text)})", seconds), (
            f"{text!r} is nowhere on\n{self.text()}"
        )
        place = self.evaluate(
            f"(() => {{ const found = {_FIND}({json.dumps(text)}); found.scrollIntoView({{block: 'center'}});"
            " const box = found.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._call(
                "Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1
            )

    def fill(self, selector: str, text: str, seconds: float = 30) -> None:
        """Put the cursor into a field and type."""
        wanted = json.dumps(selector)
        assert self._holds(f"!!document.querySelector({wanted})", seconds), f"no {selector} on\n{self.text()}"
        self.evaluate(f"document.querySelector({wanted}).focus()")
        self._call("Input.insertText", text=text)

    def links(self) -> dict[str, str]:
        """Each link's text and where it leads."""
        return dict(
            self.evaluate(
                "[...document.querySelectorAll('a')].map(link => [link.innerText.trim(), link.href])"
            )
        )

    def text(self) -> str:
        """All that the page says."""
        return str(self.evaluate("document.body.innerText"))

    def screenshot(self, path: Path) -> None:
        """What a person sees, as a PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot")["data"]))

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def _holds(self, expression: str, seconds: float) -> bool:
        for _ in range(int(seconds * 5)):
            if self.evaluate(expression):
                return True
            time.sleep(0.2)
        return False

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._last += 1
        self._connection.send(json.dumps({"id": self._last, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._connection.recv(timeout=30))
            if answer.get("id") == self._last:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A browser with an empty profile in a folder; the test is skipped where there is none."""
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            [program, *_FLAGS, f"--user-data-dir={folder}", "about:blank"], stdout=log, stderr=log
        )
    try:
        with connect(_address(folder, process), max_size=None, proxy=None) as connection:
            yield Page(connection)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the first tab listens."""
    import requests

    written = folder / "DevToolsActivePort"
    for _ in range(150):
        if written.exists() and len(lines := written.read_text().splitlines()) > 1:
            tabs = requests.get(f"http://127.0.0.1:{lines[0]}/json/list", timeout=10).json()
            if pages := [tab for tab in tabs if tab["type"] == "page"]:
                return str(pages[0]["webSocketDebuggerUrl"])
        assert process.poll() is None, (folder / "browser.log").read_text(errors="replace")[-2000:]
        time.sleep(0.2)
    raise TimeoutError(f"{folder}: the browser does not listen")
