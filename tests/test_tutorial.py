"""Pages of the docs run: they print what they show, and make the pictures they show."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcls.cli.main import cli
from mcls.disk import chapters
from mcls.disk.chapters import FOLDER, chapter_path, read_page
from mcls.errors import ConfigError, DataError, FormatError

ROOT = Path(__file__).parents[1]


def runner():
    spec = importlib.util.spec_from_file_location(
        "make_tutorial", ROOT / "docs" / "make_tutorial.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MADE = runner()


def marked(path: Path):
    slow = [pytest.mark.slow] if read_page(path).slow else []
    return pytest.param(path, marks=slow, id=f"{path.parent.name}/{path.stem}")


@pytest.mark.parametrize("path", [marked(path) for path in MADE.pages()])
def test_a_page_prints_what_it_shows(path: Path, tmp_path: Path) -> None:
    page = read_page(path)
    assert page.blocks
    for block, snippet, printed in MADE.run_page(page, tmp_path):
        wrong = MADE.difference(snippet.printed, printed, block.words)
        assert not wrong, f"{path.name}: {snippet.code}\n{wrong}\n{printed}"
    for picture in page.pictures():
        assert (tmp_path / picture).stat().st_size > 1000, picture


@pytest.mark.parametrize("path", MADE.pages(), ids=lambda path: path.stem)
def test_a_page_has_its_form(path: Path) -> None:
    page = read_page(path)
    fences = page.text.count("\n```")
    shown = sum(
        block.language == "python" and bool(block.snippets[0].printed) for block in page.blocks
    )
    assert fences == 2 * (len(page.blocks) + shown), "a block that is not run"
    for picture in page.pictures():
        kept = path.parent / picture
        assert kept.name.startswith(path.name[:3])
        assert kept.stat().st_size < 300_000
    for block in page.blocks:
        if block.language == "console":
            assert all(snippet.code.startswith("mcls ") for snippet in block.snippets)


PAGE = """\
# A page

```console
$ mcls data synth toy \\
    --tracks 18
$ mcls --version
mcls, version 0
```

<!-- run: within 0.2 -->

```python
a = 1 / 3
print("a is", a)
print(2)
```

```text
a is 0.5
2
```

<!-- run: fails, last 1 -->

```console
$ mcls info nothing
```
"""


def test_what_a_page_says_is_read_run_and_written_back(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    page = read_page(path)
    assert page.title == "A page"
    assert [len(block.snippets) for block in page.blocks] == [2, 1, 1]
    assert [block.words for block in page.blocks] == [{}, {"within": 0.2}, {"fails": 0, "last": 1}]
    done = list(MADE.run_page(page, tmp_path))
    said = [printed for _, _, printed in done]
    assert said[0].startswith("toy/manifest.csv: 18 tracks of 4 s")
    assert said[2] == "a is 0.3333333333333333\n2\n"
    assert said[3] == "error: there is nothing at nothing\n"
    words = page.blocks[1].words
    assert not MADE.difference("a is 0.5\n2\n", said[2], words)
    assert "'0.1'" in MADE.difference("a is 0.1\n2\n", said[2], words)
    assert "'3'" in MADE.difference("a is 0.34\n3\n", said[2], {})
    text = MADE.render(page, done)
    path.write_text(text)
    again = read_page(path)
    assert [snippet.printed for block in again.blocks for snippet in block.snippets] == said
    assert text.count("```") == PAGE.count("```")


@pytest.mark.parametrize(
    ("expected", "printed", "words", "same"),
    [
        ("wrote a in 3.4 s", "wrote a in 2 min 01 s", {}, True),
        ("45 tracks", "46 tracks", {}, False),
        ("0.51", "0.52", {}, True),
        ("0.51", "0.55", {}, False),
        ("1,234.5 Hz", "1,240 Hz", {}, True),
        ("1e-16", "3e-17", {}, True),
        ("a ─── 1", "a ───── 1", {}, True),
        ("a 1", "a 2", {"vary": 0}, True),
        ("a 1", "b 1", {"vary": 0}, False),
        ("a 1 2", "a 1", {"vary": 0}, False),
        ("-0.3", "0.3", {"within": 0.1}, False),
    ],
)
def test_words_agree_and_numbers_nearly(expected, printed, words, same) -> None:
    assert (MADE.difference(expected, printed, words) == "") == same


def test_a_comment_above_the_heading_is_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("<!-- run: slow -->\n\n# A page\n\n<!-- run: vary -->\n\n```python\n1\n```\n")
    page = read_page(path)
    assert page.slow
    assert [block.words for block in page.blocks] == [{"vary": 0}]


def test_long_output_is_shortened() -> None:
    assert MADE.shown("1\n2\n3\n4\n", {"first": 1, "last": 1}) == "1\n...\n4\n"
    assert MADE.shown("1\n2\n", {"first": 1, "last": 1}) == "1\n2\n"


def test_faults_of_a_page_are_named(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("<!-- run: sometimes -->\n\n```python\n1\n```\n")
    with pytest.raises(FormatError, match="'sometimes'"):
        read_page(path)
    path.write_text("```console\nls\n```\n")
    with pytest.raises(FormatError, match="begin with a line"):
        read_page(path)
    path.write_text("```console\n$ mcls info nothing\n```\n")
    with pytest.raises(DataError, match="ended with exit code 1"):
        list(MADE.run_page(read_page(path), tmp_path))
    path.write_text("<!-- run: fails -->\n\n```console\n$ mcls --version\n```\n")
    with pytest.raises(DataError, match="ended with exit code 0"):
        list(MADE.run_page(read_page(path), tmp_path))


def test_chapters_come_with_the_package() -> None:
    assert chapter_path(1).samefile(ROOT / "docs" / "tutorial" / "01-features.md")
    assert FOLDER.samefile(ROOT / "docs" / "tutorial")
    with pytest.raises(ConfigError, match="there is no chapter 99; there are 1"):
        chapter_path(99)


def test_the_demo_plays_a_chapter(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "01-page.md").write_text(PAGE)
    monkeypatch.setattr(chapters, "FOLDER", tmp_path)
    done = CliRunner().invoke(cli, ["demo", "--chapter", "1", "--dir", str(tmp_path / "demo")])
    assert done.exit_code == 0, done.output
    said = done.output
    assert "# A page\n$ mcls data synth toy \\\n      --tracks 18\ntoy/manifest.csv: 18" in said
    assert ">>> a = 1 / 3\n... print(" in said
    assert "a is 0.333" in said
    assert "error: there is nothing at nothing\ndemo done in" in said
    assert (tmp_path / "demo" / "images").is_dir()


@pytest.mark.slow
def test_the_script_writes_a_page(tmp_path: Path) -> None:
    """The script leaves a page as it is, but for the times."""
    path = chapter_path(1)
    before = path.read_text()
    subprocess.run([sys.executable, ROOT / "docs" / "make_tutorial.py", "1"], check=True)
    wrong = MADE.difference(before, path.read_text(), {})
    path.write_text(before)
    assert not wrong
