"""The documentation as a site: built without warnings, without a network, and readable."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from browser import Browser

ROOT = Path(__file__).parents[1]
#: A page of each kind: long text, wide tables, code, output, and docstrings.
PAGES = ("start.html", "nets.html", "tutorial/01-features.html", "cli.html", "reference/index.html")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site; `--strict` makes a warning an error, such as a link that leads nowhere."""
    pytest.importorskip("mkdocs", reason="needs mcls[docs]")
    pytest.importorskip("mkdocstrings", reason="needs mcls[docs]")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        loaded = re.findall(
            r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"?(https?:[^\" >]*)",
            page.read_text(encoding="utf-8"),
        )
        assert not loaded, page


def test_chapters_have_their_titles_in_the_navigation(site: Path) -> None:
    page = (site / "tutorial" / "index.html").read_text(encoding="utf-8")
    for chapter in (ROOT / "docs" / "tutorial").glob("[0-9][0-9]-*.md"):
        title = re.search(r"^# (.*)", chapter.read_text(encoding="utf-8"), re.MULTILINE)[1]
        link = re.search(rf'<a href="?{chapter.stem}\.html"?.*?</a>', page, re.DOTALL)
        assert title in link[0]


def test_every_public_function_is_described(site: Path) -> None:
    import mcls

    page = (site / "reference" / "index.html").read_text(encoding="utf-8")
    missing = [name for name, at in mcls._PLACES.items() if f"{at}.{name}" not in page]
    assert missing == []


@pytest.mark.parametrize("width", [390, 1440])
def test_pages_fit_into_the_view_and_report_no_errors(
    site: Path, browser: Browser, width: int
) -> None:
    browser.view(width)
    for page in PAGES:
        browser.open(site / page)
        assert browser.overflow() == 0, page
        assert browser.errors() == [], page
        assert [url for url in browser.requests() if not url.startswith("file:")] == [], page


def test_the_search_works_from_disk(site: Path, browser: Browser) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.view(1440)
    browser.open(site / "nets.html")
    field = browser.driver.find_element("css selector", ".md-search__input")
    field.click()
    field.send_keys("triangle")
    found = ".md-search-result__item a"
    WebDriverWait(browser.driver, 20).until(
        lambda driver: driver.find_elements("css selector", found)
    )
    addresses = [
        link.get_attribute("href") for link in browser.driver.find_elements("css selector", found)
    ]
    assert any("mfcc-triangle.html" in address for address in addresses)
    assert browser.errors() == []


def test_links_of_the_repository_become_those_of_the_site() -> None:
    pytest.importorskip("mkdocs", reason="needs mcls[docs]")
    spec = importlib.util.spec_from_file_location("make_site", ROOT / "docs" / "make_site.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    text = "[a](docs/nets.md#x) [b](CONTRIBUTING.md) [c](https://x.org/a.md) [d](#here)"
    assert made.moved_links(text, "README.md", "start.md") == (
        "[a](nets.md#x) [b](contributing.md) [c](https://x.org/a.md) [d](#here)"
    )
    assert made.moved_links("[a](../../README.md#b)", "docs/nets/fcn.md", "nets/fcn.md") == (
        "[a](../start.md#b)"
    )
