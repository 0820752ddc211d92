"""Dictionaries: rows in, atoms out. One file a method.

A method is a scikit-learn transformer (see `mcls.dictionaries.learner`) with three methods more:

* ``fit_batches(source)`` learns from rows that need not fit in memory: each call of ``source()``
  yields all of them, preprocessed, in arrays ``(n, n_dims)`` float32, in the same order. A method
  registered with ``watches_valid=True`` takes ``fit_batches(source, valid=source or None)`` and
  measures the valid part's rows, from which it never learns.
  One registered with ``resumes=True`` learns layer by layer, and goes on from those it is given.
* ``arrays()`` returns what encoding needs, by name; ``atoms`` ``(n_atoms, n_dims)`` is among them.
* ``encoder_settings()``, where it is not empty: the settings of the encoder the method is
  registered with (``encoder="lasso"``), so that by default rows are encoded as they were learnt.

``transform`` gives the codes of that encoder. ``history_`` is a list with a dict of named numbers
per pass over the rows; ``usage_`` ``(n_atoms,)``, where there is one, says how much each atom is
used. With ``device`` among its settings a method computes where torch is told to.
"""
