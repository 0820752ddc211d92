"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from mcls.disk.workspace import written_whole


def test_the_file_appears_when_the_body_is_done(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.txt"
    with written_whole(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt])
def test_an_older_file_stays_if_the_body_fails(tmp_path: Path, stop: type[BaseException]) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(stop), written_whole(path) as temporary:
        temporary.write_text("half")
        raise stop
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    with written_whole(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_body_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), written_whole(tmp_path / "out.txt"):
        pass
    assert list(tmp_path.iterdir()) == []
