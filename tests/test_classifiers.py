import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import chi2_kernel
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import check_estimator

from mcls.classifiers.gmm import GaussianMixtures
from mcls.classifiers.gmm_hmm import GMMHMM
from mcls.classifiers.inner_folds import inner_folds
from mcls.classifiers.logistic import Logistic
from mcls.classifiers.svm import SVM
from mcls.disk.model import read_model, write_model
from mcls.errors import ConfigError, DataError
from mcls.evaluation.aggregate import aggregate, score_tracks
from mcls.registry import entries, find

#: All that learn from rows; `average` reads scores (test_average.py).
NAMES = sorted(
    name
    for name, entry in entries("classifiers").items()
    if name != "average" and not entry.facts.get("regression")
)
SMALL = {
    "random-forest": {"n_estimators": 20},
    "gmm": {"n_components": 2},
    "gmm-hmm": {"states": 2, "mixtures": 2},
    "knn": {"n_neighbors": 5},
}


def make(name):
    return find("classifiers", name).load()(**SMALL.get(name, {}))


@pytest.fixture
def classes(rng):
    """Three blobs, 40 rows each, and their classes."""
    y = np.repeat([0, 1, 2], 40)
    return rng.normal(size=(120, 5)) + 3.0 * np.eye(5)[y], y


@pytest.fixture
def tags(rng):
    """Rows whose first three dimensions tell the first three labels; the rest: never, always."""
    X = rng.normal(size=(150, 6))
    Y = np.column_stack([X[:, :3] > 0, np.zeros(150, bool), np.ones(150, bool)])
    return X, Y


def test_all_six_are_there():
    assert NAMES == ["gmm", "gmm-hmm", "knn", "logistic", "random-forest", "svm"]


@pytest.mark.parametrize("name", NAMES)
def test_settings_have_a_doc_line(name):
    for setting in find("classifiers", name).settings.values():
        assert setting.doc, f"{name}: {setting.name}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_keeps_the_contract_of_scikit_learn(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the checks warn on purpose
        check_estimator(make(name), on_skip=None)


@pytest.mark.parametrize("name", NAMES)
def test_separates_classes(name, classes):
    X, y = classes
    model = make(name).fit(X[::2], y[::2])
    scores = model.scores(X[1::2])
    assert scores.shape == (60, 3)
    assert scores.dtype == np.float64
    assert np.array_equal(model.predict(X[1::2]), scores.argmax(axis=1))
    assert np.mean(model.predict(X[1::2]) == y[1::2]) > 0.9


@pytest.mark.parametrize("name", NAMES)
def test_tells_labels_apart(name, tags):
    X, Y = tags
    model = make(name).fit(X[:100], Y[:100])
    scores = model.scores(X[100:])
    aucs = [roc_auc_score(Y[100:, label], scores[:, label]) for label in range(3)]
    assert min(aucs) > 0.8
    right = model.predict(X[100:]) == Y[100:]
    assert right.shape == (50, 5)
    assert right.mean() > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_a_label_that_cannot_be_learnt_has_a_constant_extreme_score(name, tags):
    X, Y = tags
    scores = make(name).fit(X, Y).scores(X)
    assert np.all(scores[:, 3] == scores[:, 3].min())
    assert scores[0, 3] <= scores.min()
    assert scores[0, 4] >= scores.max()


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes(name, classes):
    X, y = classes
    first = make(name).fit(X, y).scores(X)
    assert np.array_equal(first, make(name).fit(X, y).scores(X))


@pytest.mark.parametrize("name", NAMES)
def test_kept_and_read_again(name, tags, classes, tmp_path):
    for X, y in (tags, classes):
        model = make(name).fit(X, y)
        write_model(tmp_path / "model.skops", model)
        again = read_model(tmp_path / "model.skops")
        assert np.array_equal(again.scores(X), model.scores(X))


@pytest.mark.parametrize("name", NAMES)
def test_before_fit(name):
    with pytest.raises(NotFittedError):
        clone(make(name)).scores(np.zeros((1, 2)))


@pytest.mark.parametrize("name", NAMES)
def test_one_class_is_refused(name):
    with pytest.raises(ValueError, match="one class"):
        make(name).fit(np.eye(3), np.zeros(3, int))
    with pytest.raises(ValueError, match="nothing to learn"):
        make(name).fit(np.eye(3), np.ones((3, 2), bool))


@pytest.mark.parametrize("name", NAMES)
def test_a_class_of_one_row(name, classes):
    X, y = classes
    model = make(name).fit(X[:81], y[:81])
    assert np.isfinite(model.scores(X)).all()
    assert model.scores(X).shape == (120, 3)


@pytest.mark.parametrize("name", NAMES)
def test_row_order_and_batch_size_change_nothing(name, classes):
    X, y = classes
    model = make(name).fit(X, y)
    whole = model.scores(X)
    one_by_one = np.concatenate([model.scores(row[None]) for row in X])
    np.testing.assert_allclose(one_by_one, whole, atol=1e-9)


def test_svm_equals_scikit_learn(classes):
    X, y = classes
    ours = SVM(C=3.0, gamma=0.1, scale=False).fit(X, y)
    theirs = OneVsRestClassifier(SVC(C=3.0, gamma=0.1)).fit(X, y)
    np.testing.assert_allclose(ours.scores(X), theirs.decision_function(X), atol=1e-2)
    gamma = SVM(C=1.0, scale=False).fit(X, y).gamma_
    assert gamma == pytest.approx(SVC(gamma="scale").fit(X, y)._gamma)


def test_svm_linear_equals_scikit_learn(classes):
    X, y = classes
    ours = SVM(kernel="linear", C=0.5, scale=False).fit(X, y)
    theirs = OneVsRestClassifier(SVC(kernel="linear", C=0.5)).fit(X, y)
    assert ours.coef_.shape == (3, 5)
    np.testing.assert_allclose(ours.scores(X), theirs.decision_function(X), atol=1e-2)


def test_svm_chi2_equals_scikit_learn(classes, rng):
    _, y = classes
    X = rng.dirichlet(np.ones(8), size=120)
    ours = SVM(kernel="chi2", C=2.0, gamma=1.5).fit(X, y)
    theirs = SVC(kernel="precomputed", C=2.0).fit(chi2_kernel(X, gamma=1.5), y == 0)
    expected = theirs.decision_function(chi2_kernel(X, gamma=1.5))
    np.testing.assert_allclose(ours.scores(X)[:, 0], expected, atol=1e-2)
    assert ours.scaler_ is None
    with pytest.raises(ConfigError, match="without negative values"):
        SVM(kernel="chi2").fit(X - 1, y)


def test_svm_chooses_on_the_valid_rows(rng):
    y = np.arange(200) % 2
    X = np.column_stack([y + rng.normal(size=200), rng.normal(size=(200, 4))])
    model = SVM(gamma=None).fit(X[:100], y[:100], valid=(X[100:], y[100:]))
    assert len(model.choice_) == 12
    tried = SVM(C=model.C_, gamma=model.gamma_).fit(X[:100], y[:100])
    best = max(figure for *_, figure in model.choice_)
    assert np.mean(tried.predict(X[100:]) == y[100:]) == pytest.approx(best)
    np.testing.assert_array_equal(tried.scores(X), model.scores(X))


def test_svm_chooses_by_groups(rng):
    """Rows of a group are copies: folds that tear groups would choose by heart."""
    groups = np.repeat(np.arange(30), 6)
    y = groups % 2
    X = rng.normal(size=(30, 4))[groups] + 0.01 * rng.normal(size=(180, 4))
    by_group = SVM(gamma=None).fit(X, y, groups=groups)
    torn = SVM(gamma=None).fit(X, y)
    assert max(figure for *_, figure in torn.choice_) > 0.95
    assert max(figure for *_, figure in by_group.choice_) < 0.8


def test_svm_draws_rows_when_there_are_too_many(rng):
    y = np.r_[np.arange(400) % 2, 2]
    X = rng.normal(size=(401, 3)) + 4.0 * np.eye(3)[y]
    kernel = SVM(C=1.0, max_rows=50).fit(X, y)
    assert len(kernel.support_) <= 53
    assert kernel.scores(X).shape == (401, 3)
    linear = SVM(kernel="linear", max_rows=50).fit(X, y)
    assert np.mean(linear.predict(X) == y) > 0.95


@pytest.mark.parametrize("setting", [{"C": 0.0}, {"C": -1.0}, {"gamma": 0.0}, {"kernel": "poly"}])
def test_svm_names_a_bad_setting(setting, classes):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        SVM(**setting).fit(*classes)


@pytest.mark.parametrize("name", ["svm", "logistic"])
def test_class_weight_finds_the_rare_class(name, rng):
    y = np.r_[np.zeros(190, int), np.ones(10, int)]
    X = rng.normal(size=(200, 2)) + y[:, None]
    model = find("classifiers", name).load()
    settings = {"C": 1.0}
    plain = model(**settings).fit(X, y).predict(X)
    weighted = model(**settings, class_weight="balanced").fit(X, y).predict(X)
    assert weighted[y == 1].mean() > plain[y == 1].mean()


@pytest.mark.parametrize("name", ["svm", "logistic", "random-forest"])
def test_class_weight_with_several_labels(name, tags):
    model = find("classifiers", name).load()(class_weight="balanced", **SMALL.get(name, {}))
    X, Y = tags
    assert (model.fit(X, Y).predict(X)[:, :3] == Y[:, :3]).mean() > 0.8


def test_gmm_scores_are_posteriors(classes):
    X, y = classes
    scores = GaussianMixtures(n_components=2).fit(X, y).scores(X)
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1)


def test_inner_folds_keep_groups_whole_and_classes_in():
    groups = np.repeat(np.arange(20), 3)
    Y = (groups % 2)[:, None] == np.array([0, 1])
    folds = inner_folds(Y, groups, single_label=True, random_state=0)
    assert len(folds) == 5
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        assert Y[train].any(axis=0).all()
        assert Y[test].any(axis=0).all()


def test_inner_folds_of_tiny_data():
    assert inner_folds(np.eye(2, dtype=bool), None, single_label=True, random_state=0) == []
    few = np.array([[1, 0], [1, 0], [0, 1]], dtype=bool)
    assert len(inner_folds(few, None, single_label=True, random_state=0)) == 2
    assert SVM().fit(np.eye(2), [0, 1]).C_ == 10.0


@pytest.mark.parametrize("how", ["mean", "vote", "max"])
def test_aggregate_of_one_row_keeps_the_choice(how, rng):
    scores = rng.normal(size=(5, 3))
    tracks = aggregate(scores, np.ones(5, int), how=how)
    assert np.array_equal(tracks.argmax(axis=1), scores.argmax(axis=1))


def test_aggregate_by_hand():
    scores = np.array([[1.0, 0.0], [2.0, 5.0], [3.0, 1.0], [0.0, 1.0]])
    lengths = np.array([3, 1])
    assert aggregate(scores, lengths, how="mean").tolist() == [[2.0, 2.0], [0.0, 1.0]]
    assert aggregate(scores, lengths, how="max").tolist() == [[3.0, 5.0], [0.0, 1.0]]
    assert aggregate(scores, lengths, how="vote")[0] == pytest.approx([2 / 3, 1 / 3])
    several = aggregate(scores, lengths, how="vote", threshold=1.0)
    assert several[0] == pytest.approx([1, 2 / 3])


def test_aggregate_refuses():
    with pytest.raises(DataError, match="no rows"):
        aggregate(np.ones((2, 2)), np.array([2, 0]))
    with pytest.raises(DataError, match="rows of scores"):
        aggregate(np.ones((2, 2)), np.array([3]))
    with pytest.raises(ConfigError, match="median"):
        aggregate(np.ones((2, 2)), np.array([2]), how="median")


def test_score_tracks_puts_classes_among_all_labels(classes):
    X, y = classes
    model = Logistic().fit(X, np.array([0, 2, 3])[y])
    tracks = [X[:7], X[7:8], X[8:]]
    scores = np.array(list(score_tracks(model, tracks, n_labels=5, block_rows=8)))
    assert scores.shape == (3, 5)
    assert np.all(scores[:, [1, 4]] == 0.0)
    np.testing.assert_allclose(scores[0, [0, 2, 3]], model.scores(X[:7]).mean(axis=0))
    rows = list(score_tracks(model, tracks, n_labels=5, how="rows"))
    assert [len(found) for found in rows] == [7, 1, 112]


def _sequences(rng, n_tracks=40):
    """Tracks of the same rows in two orders: up, or down; frames alone do not tell them apart."""
    tracks, y = [], rng.integers(0, 2, size=n_tracks)
    for down in y:
        ramp = np.linspace(-2, 2, rng.integers(4, 15))[:, None] + 0.3 * rng.normal(size=(1, 3))
        tracks.append((ramp[::-1] if down else ramp) + 0.3 * rng.normal(size=(len(ramp), 3)))
    return tracks, y


@pytest.mark.parametrize("settings", [{}, {"tied_states": 4}, {"skips": True}, {"best_path": True}])
def test_gmm_hmm_hears_the_order_of_frames(rng, settings):
    tracks, y = _sequences(rng)
    lengths = np.array([len(rows) for rows in tracks])
    X, labels = np.concatenate(tracks), np.repeat(y, lengths)
    model = GMMHMM(states=3, mixtures=1, **settings).fit(X, labels, lengths=lengths)
    unseen, truth = _sequences(rng)
    scores = np.concatenate(model.scores_of(unseen))
    assert scores.shape == (40, 2)
    assert (scores.argmax(axis=1) == truth).mean() > 0.95
    n = np.array([len(rows) for rows in unseen])
    np.testing.assert_allclose(np.exp(scores * n[:, None]).sum(axis=1), 1, atol=1e-6)  # posteriors
    matrix = np.eye(2, dtype=bool)[labels]
    model = GMMHMM(states=3, mixtures=1, **settings).fit(X, matrix, lengths=lengths)
    scores = np.concatenate(model.scores_of(unseen))
    assert ((scores >= model.threshold) == np.eye(2, dtype=bool)[truth]).mean() > 0.95


def test_gmm_hmm_says_that_tracks_are_shorter_than_its_states(rng):
    tracks, y = _sequences(rng)
    lengths = np.array([len(rows) for rows in tracks])
    model = GMMHMM(states=6, mixtures=1).fit(
        np.concatenate(tracks), np.repeat(y, lengths), lengths=lengths
    )
    n_short = int((lengths < 6).sum())
    assert n_short > 0
    [note] = model.rows_used(int(lengths.sum()))[1]
    assert f"{n_short} train tracks have fewer rows than an HMM has states (6)" in note
    assert np.isfinite(np.concatenate(model.scores_of([rows[:1] for rows in tracks]))).all()


def test_gmm_hmm_refuses_settings(classes):
    X, y = classes
    with pytest.raises(ConfigError, match="skips=true is for hmm=left-to-right"):
        GMMHMM(hmm="ergodic", skips=True).fit(X, y)
    with pytest.raises(ConfigError, match="states=0; expected 1 or more"):
        GMMHMM(states=0).fit(X, y)
