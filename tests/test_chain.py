"""The chain: digests, joining, and its way through a file of a stranger."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from mcls.disk.chain import Chain, Step, chain_digest, concatenate, extend, read_chain, write_chain
from mcls.errors import FormatError

FEATURE = Step("feature", "mfcc", {"n_mfcc": 20, "fmax": None, "sr": 22050})
ATOMS = np.arange(6, dtype=np.float32).reshape(2, 3)
LEARNT = Step("dictionary", "kmeans", {"n_atoms": 2}, (0,), {"atoms": ATOMS}, ("ä/one", "two"))
CHAIN: Chain = (FEATURE, LEARNT, Step("pool", "mean", {}, (1,)))


def written(path: Path, chain: Chain = CHAIN) -> Path:
    with h5py.File(path, "w") as file:
        write_chain(file, chain)
    return path


def read(path: Path) -> Chain:
    with h5py.File(path, "r") as file:
        return read_chain(file)


def test_written_and_read_is_the_same(tmp_path: Path) -> None:
    back = read(written(tmp_path / "chain.h5"))
    assert chain_digest(back) == chain_digest(CHAIN)
    assert [replace(step, arrays={}) for step in back] == [
        replace(step, arrays={}) for step in CHAIN
    ]
    np.testing.assert_array_equal(back[1].arrays["atoms"], ATOMS)
    assert back[1].arrays["atoms"].dtype == np.float32


def test_more_than_ten_steps_keep_their_order(tmp_path: Path) -> None:
    chain: Chain = (FEATURE,)
    for i in range(12):
        chain = extend(chain, Step("pool", f"p{i}", {}))
    assert [step.name for step in read(written(tmp_path / "c.h5", chain))][-1] == "p11"


@pytest.mark.parametrize(
    "other",
    [
        (replace(FEATURE, settings={**FEATURE.settings, "n_mfcc": 13}), *CHAIN[1:]),
        (FEATURE, replace(LEARNT, arrays={"atoms": ATOMS + 1}), CHAIN[2]),
        (FEATURE, replace(LEARNT, arrays={"atoms": ATOMS.astype(np.float64)}), CHAIN[2]),
        (FEATURE, replace(LEARNT, arrays={"centres": ATOMS}), CHAIN[2]),
        CHAIN[:2],
    ],
    ids=["setting", "value", "type", "array name", "length"],
)
def test_a_digest_tells_apart_what_was_made_otherwise(other: Chain) -> None:
    assert chain_digest(other) != chain_digest(CHAIN)


def test_extend_reads_the_result() -> None:
    assert extend(CHAIN, Step("pool", "max", {}))[-1].inputs == (2,)


def test_concatenate_shares_what_is_shared() -> None:
    mean = extend((FEATURE,), Step("pool", "mean", {}))
    deviation = extend((FEATURE,), Step("pool", "std", {}))
    joined = concatenate([mean, deviation])
    assert [step.name for step in joined] == ["mfcc", "mean", "std", "concat"]
    assert joined[-1].inputs == (1, 2)
    assert joined[1].inputs == joined[2].inputs == (0,)


def test_concatenate_keeps_features_with_other_settings_apart() -> None:
    other = replace(FEATURE, settings={**FEATURE.settings, "n_mfcc": 13})
    joined = concatenate([(FEATURE,), (other,)])
    assert [step.kind for step in joined] == ["feature", "feature", "concat"]


def test_concatenating_one_chain_changes_nothing() -> None:
    assert concatenate([CHAIN]) is CHAIN


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda g: g["1"].attrs.__delitem__("settings"), "step 1 of the chain is corrupt"),
        (lambda g: g["1"].attrs.__setitem__("settings", "{"), "step 1 of the chain is corrupt"),
        (lambda g: g["1"].attrs.__setitem__("kind", "code"), "is a 'code' that reads"),
        (lambda g: g["1"].attrs.__setitem__("inputs", [1]), "that reads \\(1,\\)"),
        (lambda g: g["1"].attrs.__setitem__("inputs", [-1]), "that reads \\(-1,\\)"),
        (lambda g: g.__delitem__("0"), "/chain/0 is missing"),
        (lambda g: g["1"].__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")), "a link"),
        (lambda g: g["1"].__setitem__("x", h5py.SoftLink("/chain/1/atoms")), "a link"),
    ],
    ids=["no settings", "bad JSON", "kind", "itself", "negative", "gap", "external", "soft"],
)
def test_a_corrupt_chain_is_refused(tmp_path: Path, damage, message: str) -> None:
    path = written(tmp_path / "chain.h5")
    with h5py.File(path, "r+") as file:
        damage(file["chain"])
    with pytest.raises(FormatError, match=message):
        read(path)


def test_a_file_without_a_chain_is_refused(tmp_path: Path) -> None:
    h5py.File(tmp_path / "x.h5", "w").close()
    with pytest.raises(FormatError, match="/chain is missing"):
        read(tmp_path / "x.h5")
