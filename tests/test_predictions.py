"""predictions.csv: there and back to the last bit, and what a stranger may write into one."""

import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcls.errors import DataError, FormatError
from mcls.evaluation import evaluate
from mcls.tables.predictions import (
    Predictions,
    join_predictions,
    read_predictions,
    write_predictions,
)

ONE = Predictions(
    ["a", "b/ä,1", 'c "quoted"', "d\nsecond line"],
    ["valid", "test", "test", ""],
    ["1", "1", "2", ""],
    ["jazz", "rock:hard", "ärger"],
    np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=bool),
    np.array([[1 / 3, 1e-300, -1e17], [0.1 + 0.2, -0.0, 5e-324], [1, 2, 3], [np.inf, -np.inf, 0]]),
    multi_label=False,
)


def text(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "p.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def same(one: Predictions, other: Predictions) -> None:
    assert replace(one, truth=None, scores=None) == replace(other, truth=None, scores=None)
    np.testing.assert_array_equal(one.truth, other.truth)
    assert one.scores.tobytes() == other.scores.tobytes()


def test_written_and_read_is_the_same(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.csv", ONE)
    same(read_predictions(tmp_path / "p.csv"), ONE)


def test_the_file_is_what_the_docs_say(tmp_path: Path) -> None:
    some = Predictions(
        ["one"], ["test"], [""], ["jazz", "rock"], np.array([[True, True]]), np.eye(2)[:1], True
    )
    write_predictions(tmp_path / "p.csv", some)
    assert (tmp_path / "p.csv").read_text() == (
        "track_id,part,fold,labels,score:jazz,score:rock\none,test,,jazz|rock,1.0,0.0\n"
    )


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_scores_survive(tmp_path_factory, data: st.DataObject) -> None:
    n_tracks, n_labels = data.draw(st.integers(1, 4)), data.draw(st.integers(2, 4))
    names = data.draw(
        st.lists(
            st.text(
                st.characters(exclude_categories=["C", "Z"], exclude_characters="|"), min_size=1
            ),
            min_size=n_labels,
            max_size=n_labels,
            unique=True,
        )
    )
    cells = st.floats(allow_nan=False)
    rows = st.lists(cells, min_size=n_labels, max_size=n_labels)
    bits = st.lists(st.booleans(), min_size=n_labels, max_size=n_labels)
    truth = np.array([data.draw(bits) for _ in range(n_tracks)])
    some = Predictions(
        [f"t{i}" for i in range(n_tracks)],
        ["test"] * n_tracks,
        [""] * n_tracks,
        names,
        truth,
        np.array([data.draw(rows) for _ in range(n_tracks)]),
        bool((truth.sum(axis=1) != 1).any()),
    )
    path = tmp_path_factory.mktemp("p") / "p.csv"
    write_predictions(path, some)
    same(read_predictions(path), some)


def test_a_table_from_elsewhere_needs_neither_part_nor_fold(tmp_path: Path) -> None:
    path = text(
        tmp_path,
        "\ufefflabels, score:rock ,score:jazz,track_id,length",
        "rock,0.9,0.1,one,30",
        "",
        " | jazz | ,0.2,.8,two,20",
    )
    read = read_predictions(path)
    assert read.names == ["rock", "jazz"]
    assert read.track_ids == ["one", "two"]
    assert read.parts == read.folds == ["", ""]
    assert read.truth.tolist() == [[True, False], [False, True]]
    assert not read.multi_label


def test_several_labels_or_none_make_it_multi_label(tmp_path: Path) -> None:
    header = "track_id,labels,score:a,score:b"
    assert read_predictions(text(tmp_path, header, "one,a|b,1,0")).multi_label
    assert read_predictions(text(tmp_path, header, "one,a,1,0", "two,,1,0")).multi_label


HEADER = "track_id,part,labels,score:jazz,score:rock"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "1: there is no column 'track_id'; expected track_id, labels and score:<label> per "
             "label, found: nothing"),
        (["track_id,score:a,score:b"], "1: there is no column 'labels'"),
        (["track_id,labels,score:a"], "expected at least one track below the header"),
        (["track_id,labels,a", "one,b,1"], "1: there is no column score:b; expected a column of"),
        (["track_id,labels,a,length", "one,a,1,30"], "1: column 'length' is no true label of any"),
        (["track_id,labels,score:a,score:a"], "1: column 'score:a' occurs twice"),
        ([HEADER], "expected at least one track below the header"),
        ([HEADER, "one,test,jazz,1"], "2: 4 cells, expected 5 as in the header"),
        ([HEADER, "one,test,jazz,1,2,3"], "2: 6 cells, expected 5 as in the header"),
        ([HEADER, ",test,jazz,1,2"], "2: the track_id is empty"),
        ([HEADER, "a,test,jazz,1,2", "b,test,jaz,1,2"],
         "3: no score for label 'jaz'; did you mean 'jazz'?"),
        ([HEADER, "a,test,jazz,1,two"], "2: score of 'rock' is 'two', not a number"),
        ([HEADER, "a,test,jazz,nan,2"], "2: score of 'jazz' is 'nan', not a number"),
        ([HEADER, "a,test,jazz,,2"], "2: score of 'jazz' is '', not a number"),
        ([HEADER, "a,test,jazz,1,2", "", "a,test,rock,1,2"], "4: track 'a' is already in line 2"),
        ([HEADER, 'a,test,"jazz,1,2'], "2: unexpected end of data"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_file_and_line(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    path = text(tmp_path, *lines) if lines else tmp_path / "p.csv"
    path.touch()
    with pytest.raises(FormatError) as error:
        read_predictions(path)
    assert message in str(error.value)
    assert str(error.value).startswith(f"{path}:")


def test_a_track_may_come_once_per_part_and_fold(tmp_path: Path) -> None:
    path = text(
        tmp_path,
        "track_id,part,fold,labels,score:a,score:b",
        "one,test,1,a,1,0",
        "one,valid,2,a,1,0",
        "one,test,2,a,1,0",
    )
    assert read_predictions(path).folds == ["1", "2", "2"]


def test_other_bytes_than_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(HEADER.encode() + b"\na,test,\xff,1,2\n")
    with pytest.raises(FormatError, match="not UTF-8"):
        read_predictions(path)
    path.write_bytes(HEADER.encode() + b"\na,test,jazz," + b"1" * 200_000 + b",2\n")
    with pytest.raises(FormatError, match="field larger"):
        read_predictions(path)


def test_no_file_is_not_an_empty_result(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(DataError, match="there is no file"):
            read_predictions(path)


def test_only_takes_a_part_or_a_fold() -> None:
    assert ONE.only("test").track_ids == ["b/ä,1", 'c "quoted"']
    assert ONE.only("test", fold="2").scores.tolist() == [[1, 2, 3]]
    assert ONE.only(fold="1").parts == ["valid", "test"]
    assert ONE.fold_names() == ["1", "2"]


def test_only_says_what_there_is() -> None:
    with pytest.raises(DataError) as error:
        ONE.only("train")
    assert str(error.value) == (
        "no track in part 'train'; there are: 1 valid, 2 test, 1 without a part"
    )
    with pytest.raises(DataError, match="no track in part 'valid' of fold '2'"):
        ONE.only("valid", fold="2")


def test_joined_is_one_below_the_other() -> None:
    joined = join_predictions([ONE.only("valid"), ONE.only("test")])
    assert joined.track_ids == ONE.track_ids[:3]
    np.testing.assert_array_equal(joined.scores, ONE.scores[:3])
    with pytest.raises(DataError, match="different labels"):
        join_predictions([ONE, replace(ONE, names=["a", "b", "c"])])


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_other_programs_have_their_own_delimiter_and_names(tmp_path: Path, delimiter: str) -> None:
    lines = ["File,Label,Split,rock,jazz", "one,rock,test,0.9,0.1", "two,jazz,val,0.2,0.8"]
    read = read_predictions(text(tmp_path, *(line.replace(",", delimiter) for line in lines)))
    assert (read.track_ids, read.parts) == (["one", "two"], ["test", "val"])
    assert read.names == ["rock", "jazz"]
    assert read.scores.tolist() == [[0.9, 0.1], [0.2, 0.8]]
    assert read.notes == (
        "column 'File' was read as track_id",
        "column 'Label' was read as labels",
        "column 'Split' was read as part",
        "columns rock, jazz were read as scores",
    )


def test_decimal_commas_are_read_where_commas_do_not_separate_cells(tmp_path: Path) -> None:
    lines = ["track_id;labels;rock;jazz", "a;rock;0,83;,5", "b;jazz;-1,5e-1;1", "c;jazz;1,000;0"]
    for delimiter in (";", "\t"):
        read = read_predictions(text(tmp_path, *(line.replace(";", delimiter) for line in lines)))
        assert read.scores.tolist() == [[0.83, 0.5], [-0.15, 1.0], [1.0, 0.0]]
        assert read.notes[-1] == "numbers such as 0,83 were read with a decimal comma"
    numbers = read_predictions(
        text(tmp_path, "track_id;true:tempo;predicted:tempo", "a;120,5;119", "b;90;1,5")
    )
    assert (numbers.truth.tolist(), numbers.scores.tolist()) == ([[120.5], [90]], [[119], [1.5]])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["track_id,labels,score:a,score:b", "x,a,1,2", 'y,b,"0,83",1'],
         "3: '0,83' has a decimal comma, and commas separate the cells"),
        (["track_id,labels,score:a,score:b", "x,a,0,83,0,17"],
         "2: 6 cells, expected 4 as in the header; if these are decimal commas, separate"),
        (["track_id;labels;score:a;score:b", "x;a;0.5;2", "y;b;0,83;1"],
         "3: '0.5' has a decimal point and '0,83' a decimal comma"),
        (["track_id;true:a;predicted:a", "x;1,234;2,500"], "2: '1,234' may be 1.234 or 1234"),
        (["track_id;labels;score:a;score:b", "x;a;1.234,5;2"],
         "2: score of 'a' is '1.234,5', not a number"),
    ],
)  # fmt: skip
def test_commas_that_cannot_be_read_are_named(tmp_path: Path, lines, said: str) -> None:
    with pytest.raises(FormatError, match=re.escape(said)):
        read_predictions(text(tmp_path, *lines))


@pytest.mark.parametrize(
    "lines",
    [
        ["track_id,labels,score:vocal", "a,vocal,0.9", "b,,0.4"],
        ["track_id,labels,score:vocal", "a,yes,0.9", "b,no,0.4"],
        ["track_id;labels;score:vocal", "a;1;0.9", "b;0;0.4"],
        ["id,y_true,y_score", "a,True,0.9", "b,False,0.4"],
    ],
)
def test_a_single_tag_is_there_or_not(tmp_path: Path, lines: list[str]) -> None:
    read = read_predictions(text(tmp_path, *lines))
    assert read.truth.tolist() == [[True], [False]]
    assert read.scores.tolist() == [[0.9], [0.4]]
    assert read.multi_label
    assert evaluate(read, ["auc"])["auc"].macro.value == 1


def test_a_single_tag_says_neither_yes_nor_no(tmp_path: Path) -> None:
    path = text(tmp_path, "track_id,labels,score:vocal", "a,maybe,0.9")
    with pytest.raises(FormatError, match="no score for label 'maybe'"):
        read_predictions(path)


def test_infinite_scores_and_escaped_cells_are_read(tmp_path: Path) -> None:
    path = text(tmp_path, "track_id,labels,score:a,score:b", "'=x,a,inf,-inf", "y,b,'-1,1e3")
    read = read_predictions(path)
    assert read.track_ids == ["=x", "y"]
    assert read.scores.tolist() == [[np.inf, -np.inf], [-1, 1000]]


def test_reading_keeps_numbers_and_not_their_text(tmp_path: Path, rng) -> None:
    truth = rng.random((2000, 40)) < 0.1
    some = [str(i) for i in range(2000)]
    names = [f"tag {i}" for i in range(40)]
    scores = rng.normal(size=truth.shape)
    table = Predictions(some, ["test"] * 2000, [""] * 2000, names, truth, scores, multi_label=True)
    write_predictions(tmp_path / "p.csv", table)
    tracemalloc.start()
    read = read_predictions(tmp_path / "p.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(read.scores, scores)
    assert peak < 40 * scores.size  # as text each number takes 70 bytes
