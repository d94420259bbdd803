"""The pages in a headless Chromium, from file:// and without a server: what their few scripts do."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest

from contracts.settings import load_settings
from jobs.io.state import State
from jobs.reports import build_reports
from tests.site_records import put_records, year_of_records

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"),
]
#: No network, and nothing of it is missed.
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *(
        "--disable-background-networking",
        "--disable-component-update",
        "--enable-logging=stderr",
        "--dump-dom",
    ),
)
Browse = Callable[[str], str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = load_settings(home=tmp_path_factory.mktemp("home"))
    put_records(State.of(settings), year_of_records(60))
    return build_reports(settings, datetime(2011, 12, 9, tzinfo=UTC)).parent


@pytest.fixture
def browse(root: Path, tmp_path: Path) -> Browse:
    """Open a page and give what it has become; a script that fails, or is refused, fails the test."""

    def opened(page: str) -> str:
        done = subprocess.run(
            [str(CHROMIUM), *_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", f"file://{root}/{page}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert "CONSOLE" not in done.stderr, done.stderr
        return done.stdout

    return opened


def rows_of(page: str) -> list[str]:
    """The text of each row of the first table's body."""
    body = page.split("<tbody>")[1].split("</tbody>")[0]
    return [
        re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", row))).strip()
        for row in body.split("</tr>")
        if "<t" in row
    ]


def test_days_are_filtered_by_what_stands_in_the_address(root: Path, browse: Browse) -> None:
    page = browse("index.html#verdict=drift&retraining=promoted")
    rows = re.findall(r'<tr data-verdict="(\w+)"[^>]*?(hidden="")?>', page)
    shown = [verdict for verdict, hidden in rows if not hidden]
    assert shown
    assert set(shown) == {"drift"}
    assert f"{len(shown)} of 60 days" in page
    assert "60 of 60 days" in browse("index.html")


def test_scripts_write_numbers_as_the_pages_do(root: Path, browse: Browse) -> None:
    written = rows_of((root / "compare.html").read_text(encoding="utf-8"))
    shown = browse("compare.html")
    assert rows_of(shown) == written
    assert shown.count("<option") == 2 * 60 + 2 * 60


@pytest.mark.parametrize(
    "page", ["quality.html#quarantined=no", "definitions.html#ctr", "days/2011-12-07.html"]
)
def test_every_page_opens_without_a_complaint(browse: Browse, page: str) -> None:
    assert "<main" in browse(page)
