import numpy as np
import pytest

from mcls.errors import DataError
from mcls.tables.labels import parse_labels


def test_single_label():
    table = parse_labels(["rock", " jazz ", "rock"])
    assert (table.names, table.multi_label, len(table)) == (["jazz", "rock"], False, 3)
    assert table.classes().tolist() == [1, 0, 1]
    assert table.classes().dtype == np.int64
    assert table.matrix.dtype == bool
    assert table.texts() == ["rock", "jazz", "rock"]


def test_multi_label():
    table = parse_labels(["a|b", "b | a|b|", "c"])
    assert table.multi_label
    assert table.matrix.astype(int).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    with pytest.raises(DataError, match="2 of 3 tracks have several labels"):
        table.classes()


def test_given_names_keep_their_order():
    table = parse_labels(["b", "a"], names=["c", "b", "a"])
    assert table.names == ["c", "b", "a"]
    assert table.classes().tolist() == [1, 2]
    with pytest.raises(DataError, match="track 2: unknown label 'bb'; did you mean 'b'"):
        parse_labels(["a", "bb"], names=["a", "b"])
    with pytest.raises(DataError, match="repeated label"):
        parse_labels(["a"], names=["a", "a"])


def test_empty_labels():
    with pytest.raises(DataError, match="t:3: no label; expected a label for every track"):
        parse_labels(["a", " | "], where=["t:2", "t:3"])
    table = parse_labels(["a", ""], allow_empty=True)
    assert table.matrix.tolist() == [[True], [False]]
    assert not table.multi_label
    with pytest.raises(DataError, match="1 of 2 tracks have no label"):
        table.classes()
    with pytest.raises(DataError, match="label column is empty"):
        parse_labels(["", ""], allow_empty=True)
    assert parse_labels(["", ""], allow_empty=True, names=["a"]).matrix.shape == (2, 1)
