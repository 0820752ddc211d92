"""The browser of the tests sees what a page does wrong."""

from pathlib import Path

from browser import Browser


def test_errors_requests_and_overflow_are_seen(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<!DOCTYPE html><title>x</title><div style='width: 500px'>wide</div>"
        "<img src='missing.png' alt=''><script>noSuchFunction()</script>"
    )
    browser.view(390)
    browser.open(page)
    assert browser.overflow() > 100
    assert any("noSuchFunction" in error for error in browser.errors())
    assert [url.rsplit("/", 1)[1] for url in browser.requests()] == ["page.html", "missing.png"]
    browser.view(1440, dark=True)
    assert browser.overflow() == 0
    assert browser.run("return matchMedia('(prefers-color-scheme: dark)').matches")
    assert browser.run("return new Promise(done => setTimeout(() => done(innerWidth), 1))") == 1440
