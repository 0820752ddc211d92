"""Hidden Markov models against brute force and hmmlearn."""

from itertools import pairwise, product

import numpy as np
import pytest
from hmmlearn.hmm import GaussianHMM
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from mcls.errors import FormatError
from mcls.hmm.alignment import best_states
from mcls.hmm.baum_welch import Sequences, baum_welch
from mcls.hmm.gmm_hmm import GMMHMMOptions, fit_gmm_hmms
from mcls.hmm.kernels import forward, posteriors, viterbi
from mcls.hmm.mixtures import Mixtures
from mcls.hmm.models import HMMs, log, log_likelihoods, offsets_of, start_models
from mcls.hmm.tying import tie_states


@pytest.mark.parametrize("n_rows", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("topology", "skips"), [("left-to-right", False), ("left-to-right", True), ("ergodic", False)]
)
def test_kernels_equal_the_enumeration_of_all_paths(rng, topology, skips, n_rows):
    start, arcs, end = start_models(1, 3, topology, skips=skips).arcs(0)
    emissions = 5 * rng.normal(size=(n_rows, 3))
    paths = list(product(range(3), repeat=n_rows))
    scores = np.array(
        [
            start[path[0]]
            + sum(emissions[t, state] for t, state in enumerate(path))
            + sum(arcs[a, b] for a, b in pairwise(path))
            for path in paths
        ]
    )
    allowed = scores + [end[path[-1]] for path in paths]
    if allowed.max() > -np.inf:  # else the track is too short to reach the last state
        scores = allowed
    gamma, xi = np.zeros((n_rows, 3)), np.zeros((3, 3))
    for path, weight in zip(paths, np.exp(scores - logsumexp(scores)), strict=True):
        for t, state in enumerate(path):
            gamma[t, state] += weight
        for a, b in pairwise(path):
            xi[a, b] += weight
    model = emissions, offsets_of([n_rows]), start, arcs, end
    found = posteriors(*model)
    np.testing.assert_allclose(found[0], gamma, atol=1e-12)
    np.testing.assert_allclose(found[1], xi, atol=1e-12)
    np.testing.assert_allclose(found[2], logsumexp(scores), rtol=1e-12)
    np.testing.assert_allclose(forward(*model), logsumexp(scores), rtol=1e-12)
    path, best = viterbi(*model)
    assert tuple(path) == paths[scores.argmax()]
    np.testing.assert_allclose(best, scores.max(), rtol=1e-12)


def test_several_tracks_at_once_equal_each_alone(rng):
    emissions, offsets = rng.normal(size=(30, 4)), offsets_of([7, 1, 12, 10])
    arcs = start_models(1, 4, "left-to-right").arcs(0)
    gamma, xi, found = posteriors(emissions, offsets, *arcs)
    path, best = viterbi(emissions, offsets, *arcs)
    alone_xi = np.zeros_like(xi)
    for i in range(4):
        some = slice(offsets[i], offsets[i + 1])
        one = emissions[some], offsets_of([offsets[i + 1] - offsets[i]])
        alone = posteriors(*one, *arcs)
        np.testing.assert_array_equal(gamma[some], alone[0])
        assert found[i] == alone[2][0]
        alone_xi += alone[1]
        assert np.array_equal(path[some], viterbi(*one, *arcs)[0])
        assert best[i] == viterbi(*one, *arcs)[1][0]
    np.testing.assert_allclose(xi, alone_xi, rtol=1e-12)


def _hmmlearn(rng, means):
    """Return an HMM of hmmlearn, with one Gaussian per state and no priors, and ours with it."""
    theirs = GaussianHMM(
        3,
        init_params="",
        n_iter=5,
        tol=-np.inf,
        min_covar=0,
        covars_prior=0,
        covars_weight=1,
        implementation="log",
    )
    theirs.startprob_ = np.array([0.5, 0.3, 0.2])
    theirs.transmat_ = rng.dirichlet(np.ones(3), size=3)
    theirs.means_, theirs.covars_ = means, np.ones_like(means)
    ours = HMMs(
        np.log(theirs.startprob_)[None],
        np.log(theirs.transmat_)[None],
        np.zeros((1, 3)),
        np.arange(3)[None],
    )
    return theirs, ours, Mixtures(np.zeros((3, 1)), means[:, None], np.ones_like(means)[:, None])


def test_100_000_frames_equal_hmmlearn(rng):
    """A long track neither underflows nor drifts: 1e-9 of hmmlearn's log-likelihood."""
    theirs, ours, mixtures = _hmmlearn(rng, rng.normal(size=(3, 2)))
    rows = rng.normal(size=(100_000, 2))
    model = mixtures.log_densities(rows), offsets_of([len(rows)]), *ours.arcs(0)
    score, gamma = theirs.score_samples(rows)
    found = posteriors(*model)
    np.testing.assert_allclose(found[2], score, rtol=1e-9)
    np.testing.assert_allclose(found[0], gamma, atol=1e-8)
    np.testing.assert_allclose(found[0].sum(axis=1), 1, atol=1e-9)
    best, path = theirs.decode(rows)
    assert np.array_equal(viterbi(*model)[0], path)
    np.testing.assert_allclose(viterbi(*model)[1], best, rtol=1e-9)


def _data(rng, n_tracks=12):
    """Tracks of two dimensions that pass through three places, in order."""
    lengths = rng.integers(9, 20, size=n_tracks)
    places = [np.sort(rng.integers(0, 3, size=n)) for n in lengths]
    rows = np.concatenate([np.array([[0, 0], [3, 0], [3, 3]])[place] for place in places])
    return Sequences(rows + rng.normal(size=rows.shape), offsets_of(lengths))


def test_baum_welch_equals_hmmlearn(rng):
    """Five iterations from the same start, ergodic, one Gaussian per state: 1e-6."""
    data = _data(rng)
    theirs, ours, begin = _hmmlearn(rng, np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 4.0]]))
    hmms, mixtures, history = baum_welch(
        ours, begin, [data], floor=np.full(2, 1e-9), max_iter=5, tol=-np.inf
    )
    theirs.fit(data.rows, np.diff(data.offsets))
    n = len(data.rows)
    np.testing.assert_allclose(history, np.array(theirs.monitor_.history)[-5:] / n, rtol=1e-6)
    np.testing.assert_allclose(mixtures.means[:, 0], theirs.means_, atol=1e-6)
    variances = np.diagonal(theirs.covars_, axis1=1, axis2=2)
    np.testing.assert_allclose(mixtures.variances[:, 0], variances, atol=1e-6)
    np.testing.assert_allclose(np.exp(hmms.log_transitions[0]), theirs.transmat_, atol=1e-6)
    np.testing.assert_allclose(np.exp(hmms.log_start[0]), theirs.startprob_, atol=1e-6)


def test_one_state_is_the_gaussian_mixture_of_scikit_learn(rng):
    """Ten iterations from the same start: 1e-6. hmmlearn's GMMHMM takes other variances."""
    data, means = _data(rng), rng.normal(size=(3, 2))
    theirs = GaussianMixture(
        3,
        covariance_type="diag",
        reg_covar=0,
        max_iter=10,
        tol=0,
        weights_init=np.full(3, 1 / 3),
        means_init=means,
        precisions_init=np.ones((3, 2)),
    )
    with pytest.warns(ConvergenceWarning):
        theirs.fit(data.rows)
    begin = Mixtures(np.log(np.full((1, 3), 1 / 3)), means[None], np.ones((1, 3, 2)))
    _, ours, _ = baum_welch(
        start_models(1, 1, "ergodic"), begin, [data], floor=np.zeros(2), max_iter=10, tol=-np.inf
    )
    np.testing.assert_allclose(ours.means[0], theirs.means_, atol=1e-6)
    np.testing.assert_allclose(ours.variances[0], theirs.covariances_, atol=1e-6)
    np.testing.assert_allclose(np.exp(ours.log_weights[0]), theirs.weights_, atol=1e-6)


OPTIONS = {
    "states": 3,
    "mixtures": 2,
    "topology": "left-to-right",
    "skips": False,
    "tied_states": None,
    "variance_floor": 0.01,
    "max_iter": 10,
    "tol": 1e-4,
    "random_state": 0,
}


@pytest.mark.parametrize(
    "changed", [{}, {"skips": True}, {"topology": "ergodic"}, {"tied_states": 4}]
)
def test_the_likelihood_never_falls(rng, changed):
    data = [_data(rng), Sequences(*(lambda one: (one.rows[::-1], one.offsets))(_data(rng)))]
    hmms, mixtures, history = fit_gmm_hmms(data, GMMHMMOptions(**{**OPTIONS, **changed}))
    assert np.diff(history).min(initial=0) > -1e-9
    found = [log_likelihoods(hmms, mixtures.log_densities(one.rows), one.offsets) for one in data]
    right = np.mean([(one.argmax(axis=1) == i).mean() for i, one in enumerate(found)])
    assert right > (0.6 if changed.get("topology") else 0.9)  # ergodic HMMs hardly see the order


def test_states_that_are_never_reached_do_no_harm(rng):
    """All tracks of one row: only the first state is used, and nothing is NaN."""
    data = [
        Sequences(rng.normal(size=(5, 2)), np.arange(6)),
        Sequences(5 + rng.normal(size=(5, 2)), np.arange(6)),
    ]
    hmms, mixtures, _ = fit_gmm_hmms(data, GMMHMMOptions(**OPTIONS))
    for array in (mixtures.means, mixtures.variances):
        assert np.isfinite(array).all()
    found = log_likelihoods(hmms, mixtures.log_densities(data[0].rows), data[0].offsets)
    assert (found[:, 0] > found[:, 1]).all()


def test_forced_alignment_finds_the_true_places(rng):
    data = _data(rng)
    hmms, mixtures, _ = fit_gmm_hmms([data], GMMHMMOptions(**{**OPTIONS, "mixtures": 1}))
    path = best_states(hmms, 0, mixtures.log_densities(data.rows), data.offsets)
    for first, stop in pairwise(data.offsets):
        assert path[first] == 0
        assert path[stop - 1] == 2
        assert set(np.diff(path[first:stop])) <= {0, 1}


def test_tied_states_are_those_that_cost_least(rng):
    """Equal to the exhaustive search where groups are clear, and 1-to-1 if nothing has to merge."""
    means = np.array([[0, 0], [8, 8], [0.1, 0], [8, 8.1], [-9, 9]], dtype=float)[:, None]
    states = Mixtures(np.zeros((5, 1)), means, np.ones((5, 1, 2)))
    assert tie_states(states, np.full(5, 50), 3).tolist() == [0, 1, 0, 1, 2]
    assert tie_states(states, np.full(5, 50), 9).tolist() == [0, 1, 2, 3, 4]


def test_tying_loses_the_likelihood_that_merged_gaussians_lose(rng):
    """The one merger that is made has the least loss of log-likelihood, computed from the rows."""
    groups = [
        rng.normal(size=(n, 3)) * scale + shift
        for n, scale, shift in ((40, 1, 0), (9, 2, 1), (25, 1, 3), (70, 3, 2))
    ]
    states = Mixtures(
        np.zeros((4, 1)),
        np.array([g.mean(0) for g in groups])[:, None],
        np.array([g.var(0) for g in groups])[:, None],
    )

    def gain(*which):
        rows = np.concatenate([groups[i] for i in which])
        return -0.5 * len(rows) * np.log(rows.var(axis=0)).sum()

    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    best = max(pairs, key=lambda pair: gain(*pair) - gain(pair[0]) - gain(pair[1]))
    tied = tie_states(states, np.array([len(g) for g in groups]), 3)
    assert [pair for pair in pairs if tied[pair[0]] == tied[pair[1]]] == [best]


def test_log_densities_equal_scikit_learn(rng):
    rows = rng.normal(size=(200, 4))
    theirs = GaussianMixture(3, covariance_type="diag", random_state=0).fit(rows)
    ours = Mixtures(log(theirs.weights_)[None], theirs.means_[None], theirs.covariances_[None])
    np.testing.assert_allclose(
        ours.log_densities(rows)[:, 0], theirs.score_samples(rows), atol=1e-10
    )


def test_arrays_round_trip():
    hmms = start_models(2, 3, "left-to-right", skips=True)
    again = HMMs.from_arrays(hmms.arrays())
    assert all(np.array_equal(getattr(again, name), array) for name, array in vars(hmms).items())
    assert all(np.isfinite(array).all() for array in hmms.arrays().values())  # as files must be
    np.testing.assert_allclose(np.exp(hmms.log_transitions).sum(axis=2), 1)


def test_arrays_that_do_not_fit_are_refused():
    """The kernels check no bounds, so a file from a stranger must not reach them."""
    arrays = start_models(2, 3, "ergodic").arrays()
    for name, wrong in (
        ("log_transitions", np.zeros((2, 2, 2))),
        ("log_end", np.zeros((2, 4))),
        ("pdfs", np.full((2, 3), -1)),
        ("pdfs", np.zeros((2, 3))),
    ):
        with pytest.raises(FormatError, match="HMMs with"):
            HMMs.from_arrays({**arrays, name: wrong})
