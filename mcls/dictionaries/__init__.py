"""Dictionaries: rows in, atoms out. One file per method.

A method is a scikit-learn transformer in a file of this folder, registered by one decorator:

    @register("dictionaries", "kmeans", encoder="hard")
    class KMeans(Dictionary): ...

`mcls.dictionaries.learner` has the two base classes; most methods derive from one of them. The
arguments of the decorator are facts that ``learn-dict`` and ``encode`` read:

* ``encoder``, always: the name of the encoder whose codes ``transform`` gives. ``train`` and
  ``encode`` use it unless another is named.
* ``watches_valid=True``: ``fit_batches(source, valid=source or None)`` measures the rows of the
  valid part after every epoch, as ``valid_...`` in ``history_``, and never learns from them.
* ``resumes=True``: the method learns layer by layer. ``fit_batches(source, kept=[...], keep=call)``
  calls ``keep(layer, snapshot)`` after each layer, counted from 1. Given the snapshots of the first
  layers as ``kept``, it learns the others only, to the same bytes.
* ``distributed=True``: the processes of torchrun share its costly parts (see
  `mcls.parallel.processes`), to the bytes of one process.
* ``gpu_batch_size=N``: the ``batch_size`` that ``learn-dict`` chooses on a GPU, where larger
  minibatches are faster and learn as well, unless one is given.
* ``labels_if="setting"``: where that setting is above 0 and the store has labels,
  ``fit_batches(..., labelled=source, valid_labelled=source)`` gets the same rows with a column per
  label behind them.

A method provides

* ``fit``, ``transform`` and, where it can go on learning, ``partial_fit``: scikit-learn's contract
  (``check_estimator`` passes), with ``components_`` ``(n_atoms, n_dims)`` and ``random_state``;
* ``fit_batches(source)``: learns from rows that need not fit in memory. Each call of ``source()``
  yields all rows, preprocessed, in arrays ``(n, n_dims)`` float32, in the same order;
* ``arrays()``: the arrays that encoders need, by name; always ``atoms`` ``(n_atoms, n_dims)``;
* ``encoder_settings()``: the settings of its encoder with which it gives the codes of
  ``transform``; left out if there are none. ``inverse_transform`` decodes those codes where the
  encoder names a ``decoder`` (see `mcls.dictionaries.decoders`);
* ``history_``: a list with a dict of named numbers for each pass over the rows;
* ``usage_`` ``(n_atoms,)``, optional: the use of each atom, at least 0;
* ``device`` among its settings if it can compute on a GPU.

tests/test_dictionaries.py checks this contract for every registered method.
"""

from typing import Any

from mcls.registry import entries, imported


def __getattr__(name: str) -> Any:
    return imported("dictionaries", name, __name__)


def __dir__() -> list[str]:
    return sorted({*globals(), *(entry.attribute for entry in entries("dictionaries").values())})
