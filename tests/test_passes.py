"""Linear machines that are trained by passes over chunks of rows, against scikit-learn."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from mcls.classifiers.passes import (
    LandmarkKernel,
    fit_machines,
    sigmoids,
    softmaxes,
    squared_hinge,
)
from mcls.classifiers.svm import SVM


def cancer():
    return load_breast_cancer(return_X_y=True)


def digits():
    X, y = load_digits(return_X_y=True)
    return X[::2], y[::2]


def made():
    return make_classification(
        1000, 40, n_informative=12, n_redundant=15, n_classes=5, random_state=0
    )


@pytest.fixture(params=[cancer, digits, made], scope="module")
def data(request):
    X, y = request.param()
    return StandardScaler().fit_transform(X), y


def largest(found, expected):
    """Return the largest difference as a share of the largest value."""
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("C", [0.01])
def test_margins_are_those_of_linear_svc(data, C):
    X, y = data
    Y = y[:, None] == np.unique(y)
    found = fit_machines(X, Y, loss=squared_hinge, C=C, weights=None, sample=X[::3])
    theirs = [LinearSVC(C=C, dual=False, tol=1e-9, max_iter=10_000).fit(X, one) for one in Y.T]
    assert found.converged
    assert largest(found.coef, np.vstack([one.coef_ for one in theirs])) < 1e-4
    scores = X @ found.coef.T + found.intercept
    expected = np.column_stack([one.decision_function(X) for one in theirs])
    assert largest(scores, expected) < 1e-4


@pytest.mark.parametrize("C", [0.1])
def test_softmax_and_sigmoid_are_those_of_logistic_regression(data, C):
    X, y = data
    Y = y[:, None] == np.unique(y)
    loss = softmaxes if Y.shape[1] > 2 else sigmoids
    Y = Y if Y.shape[1] > 2 else Y[:, 1:]
    found = fit_machines(X, Y, loss=loss, C=C, weights=None, sample=X[::3])
    theirs = LogisticRegression(C=C, tol=1e-9, max_iter=10_000).fit(X, y)
    assert found.converged
    assert largest(found.coef, theirs.coef_) < 1e-4
    scores = X @ found.coef.T + found.intercept
    expected = theirs.decision_function(X).reshape(scores.shape)
    assert largest(scores, expected) < 1e-4


def test_weights_of_rows_are_those_of_scikit_learn(rng):
    X, y = cancer()
    X = StandardScaler().fit_transform(X)
    weights = rng.uniform(0, 3, len(X))
    found = fit_machines(
        X, y[:, None] == 1, loss=squared_hinge, C=0.02, weights=weights, sample=X[::3]
    )
    theirs = LinearSVC(C=0.02, dual=False, tol=1e-9).fit(X, y, sample_weight=weights)
    assert largest(found.coef, theirs.coef_) < 1e-4


def test_bytes_depend_neither_on_threads_nor_on_labels_beside(monkeypatch):
    X, y = made()
    Y = y[:, None] == np.unique(y)
    X = np.hstack([X, np.sin(np.arange(960_000).reshape(1000, 960))])  # two chunks

    def trained(threads):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        return fit_machines(X, Y, loss=squared_hinge, C=1e-4, weights=None, sample=X[::10])

    assert trained("1").coef.tobytes() == trained("3").coef.tobytes()


def test_with_all_rows_as_landmarks_it_is_the_kernel_machine_itself(rng):
    """Its features are then the Cholesky factor of the kernel, on which LinearSVC learns."""
    X, y = rng.normal(size=(200, 4)), np.arange(200) % 2
    X[:, 0] += 1.5 * y

    def kernel(A, B):
        return rbf_kernel(A, B, gamma=0.3)

    landmarks = LandmarkKernel(X, kernel)
    found = fit_machines(
        X,
        y[:, None] == 1,
        loss=squared_hinge,
        C=1.0,
        weights=None,
        sample=X[::2],
        landmarks=landmarks,
        memory=1 << 24,
    )
    factor = landmarks.root.T
    theirs = LinearSVC(C=1.0, dual=False, tol=1e-10).fit(factor, y)
    scores = kernel(X, X) @ found.coef[0] + found.intercept[0]
    assert largest(scores, theirs.decision_function(factor)) < 1e-3


def test_many_rows_come_close_to_the_exact_kernel_machine():
    """At most one in a hundred test rows fewer than the SVC of all rows has right."""
    X, y = load_digits(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    settings = {"C": 10.0, "gamma": 0.01, "scale": False}
    exact = np.mean(SVC(C=10.0, gamma=0.01).fit(X[::2], y[::2]).predict(X[1::2]) == y[1::2])
    by_passes = SVM(**settings, max_rows=400, n_landmarks=300).fit(X[::2], y[::2])
    assert 300 <= len(by_passes.support_) < 312
    found = np.mean(by_passes.predict(X[1::2]) == y[1::2])
    drawn = np.mean(SVM(**settings).fit(X[:600:2], y[:600:2]).predict(X[1::2]) == y[1::2])
    assert found >= exact - 0.01
    assert found > drawn


def test_many_rows_are_all_learnt_from_and_it_says_how():
    X, y = digits()
    model = SVM(C=10.0, gamma=None, max_rows=200, n_landmarks=100).fit(X, y)
    used, [way, chosen] = model.rows_used(len(X))
    assert used == len(X)
    assert "rbf kernel with 1" in way
    assert "landmarks" in way
    assert "settings were chosen on 2" in chosen
