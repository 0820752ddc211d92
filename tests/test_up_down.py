"""The up-down algorithm: against the paper's code, by enumeration, and on the command line."""

from itertools import product

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.special import expit, logsumexp

import mcls
from mcls.cli.main import cli
from mcls.dictionaries.dbn import DBN
from mcls.dictionaries.decoders import decode
from mcls.dictionaries.up_down import Directed, Memory, Network, UpDownSettings, fine_tune
from mcls.disk.chain import Step
from mcls.disk.dictionary import read_dictionary
from mcls.errors import ConfigError, DataError
from mcls.stores.store import NewRows, Store, StoreContents, write_store

SIZES, N_LABELS = (6, 5, 4, 7), 3  # visible, hidden, penultimate, top


def network(rng, visible: str = "binary", n_labels: int = N_LABELS) -> Network:
    def some(*shape):
        return rng.normal(0, 0.5, shape)

    vis, hid, pen, top = SIZES
    layers = [
        Directed(some(above, below), some(above), some(above, below), some(below))
        for below, above in ((vis, hid), (hid, pen))
    ]
    memory = Memory(some(top, pen), some(top, n_labels), some(top), some(pen), some(n_labels))
    return Network(layers, memory, visible)


def logistic(x):
    return 1 / (1 + np.exp(-x))


def paper(net: Network, data, targets, rate: float, n_gibbs: int, rand) -> dict[str, np.ndarray]:
    """The code of appendix B, line by line, in its names; the mean over the cases."""
    (low, high), memory = net.layers, net.memory
    vishid, hidpen = low.weights.T.copy(), high.weights.T.copy()
    hidvis, penhid = low.generative_weights.copy(), high.generative_weights.copy()
    hidrecbiases, penrecbiases = low.biases.copy(), high.biases.copy()
    visgenbiases, hidgenbiases = low.visible_biases.copy(), high.visible_biases.copy()
    pentop, labtop = memory.weights.T.copy(), memory.label_weights.T.copy()
    topbiases, pengenbiases = memory.biases.copy(), memory.visible_biases.copy()
    labgenbiases = memory.label_biases.copy()
    r = rate / len(data)

    wakehidprobs = logistic(data @ vishid + hidrecbiases)
    wakehidstates = (rand(wakehidprobs.shape) < wakehidprobs) * 1.0
    wakepenprobs = logistic(wakehidstates @ hidpen + penrecbiases)
    wakepenstates = (rand(wakepenprobs.shape) < wakepenprobs) * 1.0
    waketopprobs = logistic(wakepenstates @ pentop + targets @ labtop + topbiases)
    waketopstates = (rand(waketopprobs.shape) < waketopprobs) * 1.0
    poslabtopstatistics = targets.T @ waketopstates
    pospentopstatistics = wakepenstates.T @ waketopstates

    negtopstates = waketopstates
    for _ in range(n_gibbs):
        negpenprobs = logistic(negtopstates @ pentop.T + pengenbiases)
        negpenstates = (rand(negpenprobs.shape) < negpenprobs) * 1.0
        drive = np.exp(negtopstates @ labtop.T + labgenbiases)
        neglabprobs = drive / drive.sum(axis=1, keepdims=True)
        negtopprobs = logistic(negpenstates @ pentop + neglabprobs @ labtop + topbiases)
        negtopstates = (rand(negtopprobs.shape) < negtopprobs) * 1.0
    negpentopstatistics = negpenstates.T @ negtopstates
    neglabtopstatistics = neglabprobs.T @ negtopstates

    sleeppenstates = negpenstates
    sleephidprobs = logistic(sleeppenstates @ penhid + hidgenbiases)
    sleephidstates = (rand(sleephidprobs.shape) < sleephidprobs) * 1.0
    sleepvisprobs = logistic(sleephidstates @ hidvis + visgenbiases)

    psleeppenstates = logistic(sleephidstates @ hidpen + penrecbiases)
    psleephidstates = logistic(sleepvisprobs @ vishid + hidrecbiases)
    pvisprobs = logistic(wakehidstates @ hidvis + visgenbiases)
    phidprobs = logistic(wakepenstates @ penhid + hidgenbiases)

    hidvis += r * wakehidstates.T @ (data - pvisprobs)
    visgenbiases += r * (data - pvisprobs).sum(axis=0)
    penhid += r * wakepenstates.T @ (wakehidstates - phidprobs)
    hidgenbiases += r * (wakehidstates - phidprobs).sum(axis=0)
    labtop += r * (poslabtopstatistics - neglabtopstatistics)
    labgenbiases += r * (targets - neglabprobs).sum(axis=0)
    pentop += r * (pospentopstatistics - negpentopstatistics)
    pengenbiases += r * (wakepenstates - negpenstates).sum(axis=0)
    topbiases += r * (waketopstates - negtopstates).sum(axis=0)
    hidpen += r * sleephidstates.T @ (sleeppenstates - psleeppenstates)
    penrecbiases += r * (sleeppenstates - psleeppenstates).sum(axis=0)
    vishid += r * sleepvisprobs.T @ (sleephidstates - psleephidstates)
    hidrecbiases += r * (sleephidstates - psleephidstates).sum(axis=0)
    return {
        "weights_1": vishid.T,
        "biases_1": hidrecbiases,
        "generative_weights_1": hidvis,
        "visible_biases_1": visgenbiases,
        "weights_2": hidpen.T,
        "biases_2": penrecbiases,
        "generative_weights_2": penhid,
        "visible_biases_2": hidgenbiases,
        "weights_3": pentop.T,
        "biases_3": topbiases,
        "visible_biases_3": pengenbiases,
        "label_weights": labtop.T,
        "label_biases": labgenbiases,
    }


@pytest.mark.parametrize("n_gibbs", [1, 3])
def test_a_step_is_that_of_the_paper(rng, n_gibbs) -> None:
    """To 1e-6 (1e-12 in fact), with the same random numbers."""
    net = network(rng)
    data = rng.random((10, SIZES[0]))
    targets = np.eye(N_LABELS)[rng.integers(0, N_LABELS, 10)]
    random = np.random.RandomState(1)
    expected = paper(net, data, targets, 0.3, n_gibbs, lambda shape: random.uniform(size=shape))
    again = np.random.RandomState(1)
    net.step(
        data,
        targets,
        n_gibbs=n_gibbs,
        learning_rate=0.3,
        draw=lambda p: (again.uniform(size=p.shape) < p) * 1.0,
    )
    found = net.arrays()
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-6, err_msg=name)


def test_free_energies_are_those_by_enumeration(rng) -> None:
    """All states of the top summed out, to 1e-9."""
    net = network(rng)
    rows = rng.random((4, SIZES[0]))
    units, top = net.up(rows), net.memory
    states = np.array([*product((0.0, 1.0), repeat=SIZES[-1])])
    for label in range(N_LABELS):
        minus = (
            (units @ top.visible_biases)[:, None]
            + top.label_biases[label]
            + states @ top.biases
            + units @ top.weights.T @ states.T
            + states @ top.label_weights[:, label]
        )
        np.testing.assert_allclose(net.free_energies(rows)[:, label], -logsumexp(minus, axis=1))


def bars(rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of 5 x 5 with lines that are all across (label 0) or all down (label 1)."""
    across = rng.random(n) < 0.5
    lines = rng.random((n, 5)) < 0.4
    images = np.repeat(lines[:, :, None], 5, axis=2)
    images = np.where(across[:, None, None], images, images.transpose(0, 2, 1))
    return images.reshape(n, 25).astype(np.float32), np.eye(2, dtype=np.float32)[1 - across]


def log_bound(net: Network, rows: np.ndarray, targets: np.ndarray, rng) -> float:
    """Return the lower bound of the mean log p(row, label) in nats.

    Hidden units are drawn from the recognition weights; the partition function of the top is summed
    over all states of its hidden units.
    """

    def log_p(states, probabilities):
        p = np.clip(probabilities, 1e-9, 1 - 1e-9)
        return (states * np.log(p) + (1 - states) * np.log(1 - p)).sum(axis=1)

    total, below = np.zeros(len(rows)), rows.astype(float)
    for i, layer in enumerate(net.layers):
        q = expit(below @ layer.weights.T + layer.biases)
        above = (rng.random(q.shape) < q) * 1.0
        total += log_p(below, net._below(i, above)) - log_p(above, q)
        below = above
    top = net.memory
    states = np.array([*product((0.0, 1.0), repeat=len(top.biases))])
    softplus = np.logaddexp(0, states @ top.weights + top.visible_biases).sum(axis=1)
    labels = logsumexp(states @ top.label_weights + top.label_biases, axis=1)
    log_z = logsumexp(states @ top.biases + softplus + labels)
    drive = below @ top.weights.T + targets @ top.label_weights.T + top.biases
    minus = below @ top.visible_biases + targets @ top.label_biases
    return float(np.mean(total + minus + np.logaddexp(0, drive).sum(axis=1) - log_z))


def test_bars_get_likelier_and_labels_are_found(rng) -> None:
    """Reconstruction, the bound of the likelihood and the accuracy improve over the RBMs."""
    rows, targets = bars(rng, 2000)
    given = {"visible": "binary", "batch_size": 50, "learning_rate": (0.1,), "n_epochs": (15,)}
    greedy = DBN(layers=(30, 10), random_state=0, **given).fit(rows)
    low, high = (tuple(map(np.copy, rbm._parameters)) for rbm in greedy.rbms_)
    nothing = np.zeros((10, 2), np.float32)
    memory = Memory(high[0], nothing, *high[1:], np.zeros(2, np.float32))
    net = Network([Directed(low[0], low[1], low[0].copy(), low[2])], memory, "binary")
    both, random = np.hstack([rows, targets]), np.random.RandomState(0)
    measured = []
    for label_epochs, epochs in ((15, 0), (0, 30)):
        settings = UpDownSettings(epochs, label_epochs, 50, 0.1, 3)
        history = fine_tune(net, lambda: [both], None, settings, random)
        measured.append((log_bound(net, rows, targets, rng), history[-1]))
    (bound, first), (later, last) = measured
    assert later > bound + 0.5
    assert last["reconstruction"] < 0.8 * first["reconstruction"]
    assert last["accuracy"] > first["accuracy"]


def test_codes_arrays_and_decoder_agree(rng) -> None:
    """transform is the encoder of the arrays; decoding goes down by the generative weights."""
    rows, _ = bars(rng, 200)
    model = DBN(layers=(8, 6), visible="binary", up_down=2, n_epochs=(2,), random_state=0).fit(rows)
    net = model.network_
    from mcls.registry import find

    codes = find("encoders", "dbn").load()(rows, model.arrays())
    np.testing.assert_allclose(model.transform(rows), codes, atol=1e-5)
    again = decode(codes, model.arrays(), encoder="dbn", settings={}, method=model.get_params())
    np.testing.assert_allclose(again, net.reconstruct(rows), atol=1e-5)
    assert not np.allclose(net.layers[0].weights, net.layers[0].generative_weights)
    assert "label_weights" not in model.arrays()
    same = DBN(layers=(8, 6), visible="binary", up_down=2, n_epochs=(2,), random_state=0).fit(rows)
    for name, array in model.arrays().items():
        assert np.array_equal(array, same.arrays()[name]), name


def test_what_cannot_be_fine_tuned_is_refused(rng) -> None:
    rows, _ = bars(rng, 100)
    wrong = [{"layers": (8,)}, {"hidden": "relu"}, {"visible": "relu"}, {"up_down_rate": 0.0}]
    for settings in wrong:
        with pytest.raises(ConfigError, match="up_down"):
            DBN(**{"layers": (8, 6), "up_down": 2, **settings}).fit(rows)
    with pytest.raises(ConfigError, match="layer by layer"):
        DBN(layers=(8, 6), up_down=2).partial_fit(rows)
    net = network(rng)
    net.layers[0].generative_weights *= np.inf
    settings = UpDownSettings(1, 0, 10, 0.1, 1)
    with np.errstate(all="ignore"), pytest.raises(DataError, match="diverged"):
        fine_tune(net, lambda: [rng.random((20, 9))], None, settings, np.random.RandomState(0))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """24 tracks of low or high tones in 6 bands."""
    rng = np.random.default_rng(440)
    path = tmp_path_factory.mktemp("up-down") / "mel.h5"
    labels = [("low", "high")[i % 2] for i in range(24)]
    columns = {
        "track_id": [f"t{i}" for i in range(24)],
        "path": [f"t{i}.wav" for i in range(24)],
        "labels": labels,
        "several": ["low|high"] * 24,
        "split": ["train"] * 16 + ["valid"] * 8,
    }
    rows = []
    for label in labels:
        own = rng.normal(-50, 2, (40, 6)).astype(np.float32)
        own[:, 1 if label == "low" else 4] += 25
        rows.append(own)
    feature = {"sr": 22050, "excerpt": None, "dtype": "float32", "hop_length": 512, "n_mels": 6}
    new = NewRows(
        "mel", (Step("feature", "mel", feature),), 43.0, 6, [40] * 24, iter(rows), "float32"
    )
    write_store(path, StoreContents(columns), [new])
    return path


GIVEN = ["--method", "dbn", "-p", "layers=12x10", "-p", "learning_rate=0.01", "-p", "n_epochs=20"]
GIVEN += ["-p", "batch_size=10"]


def run(*words):
    return CliRunner().invoke(cli, list(map(str, words)), prog_name="mcls")


def test_labels_reach_the_command(store, tmp_path) -> None:
    """The accuracy on the valid part is printed, and samples of a label look like it."""
    out, image = tmp_path / "dbn.h5", tmp_path / "a.png"
    done = run("learn-dict", store, out, *GIVEN, "-p", "up_down=20", "-p", "up_down_rate=0.1")
    assert done.exit_code == 0, done.output
    last = read_dictionary(out).report["history"][-1]
    assert last["valid_accuracy"] > 0.95
    assert f"{100 * last['valid_accuracy']:.1f} % of the valid rows" in done.output
    step = read_dictionary(out).step
    assert step.settings["labels"] == ["high", "low"]
    from mcls.dictionaries.preprocessing import Preprocessing
    from mcls.inspection.dictionary_samples import _drawn

    for label, loud in (("high", 4), ("low", 1)):
        drawn, _ = _drawn(step, out, 20, 200, [label] * 20)
        rows = Preprocessing.from_arrays(step.arrays).inverse(drawn)
        assert rows.mean(axis=0).argmax() == loud
    for words, said in (([], "given the labels in turn"), (["--label", "low"], "given low")):
        done = run("plot", out, "-o", image, "--samples", 4, "--steps", 10, *words)
        assert done.exit_code == 0, done.output
        assert said in done.output
    failed = run("plot", out, "-o", image, "--samples", 4, "--label", "middle")
    assert "--label middle" in failed.output


def test_without_labels_and_with_labels_that_do_not_do(store, tmp_path) -> None:
    out = tmp_path / "dbn.h5"
    plain = [*GIVEN, "-p", "up_down=1"]
    done = run("learn-dict", store, out, *plain, "--labels", "none")
    assert done.exit_code == 0, done.output
    assert "labels" not in read_dictionary(out).step.settings
    assert "free energy" not in done.output
    failed = run("plot", out, "-o", tmp_path / "a.png", "--samples", 4, "--label", "low")
    assert "was learnt without labels" in failed.output
    failed = run("learn-dict", store, tmp_path / "b.h5", *plain, "--labels", "several")
    assert "several labels" in failed.output
    changed = run("learn-dict", store, out, *plain)  # other labels are other settings
    assert "other settings" in changed.output


def test_columns_follow_their_rows(store) -> None:
    """Each row keeps the label of its track, held in memory and shuffled."""
    from mcls.data.sampling import Sample

    stored = Store(store).feature("mel")
    targets = np.eye(24, dtype=np.float32)
    sample = Sample(stored, np.arange(24), n_rows=200, context=2, seed=3)
    both = np.concatenate([*sample.with_columns(targets)])
    assert np.array_equal(both[:, :12], np.concatenate([*sample()]))
    for row in both:
        own = stored.track(int(row[12:].argmax()))
        assert np.isin(row[:6], own).all()
    assert mcls.Store is Store
