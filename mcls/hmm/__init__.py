"""Hidden Markov models: kernels, topologies, Baum-Welch, tied states and alignment.

Rows of several tracks are stacked, ``(n_rows, n_dims)``, and ``offsets`` ``(n_tracks + 1,)`` says
where each track begins. A *state* has an output density, and several states may share one: `pdfs`
``(n_models, n_states)`` names the density of each state of each HMM. The densities are Gaussian
mixtures (`mcls.hmm.mixtures`), or the outputs of a net divided by their priors.

References
----------
Rabiner (1989), A tutorial on hidden Markov models and selected applications in speech recognition.
"""
