"""A net whose outputs are states of HMMs, with the HMMs that turn them into scores of labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from mcls.errors import ConfigError, FormatError
from mcls.hmm.alignment import path_and_posteriors
from mcls.hmm.models import HMMs, log_likelihoods, offsets_of
from mcls.training.model import NetSpec, TrainedNet
from mcls.training.standardise import Standardise
from mcls.training.validation import Validation

#: The name of the layer of state posteriors.
STATES = "states"
#: Prefix of the arrays of the HMMs among the tensors of a file.
_PREFIX = "hmm."


@dataclass(frozen=True)
class StateDecoder:
    """What turns the state posteriors of a track into scores of labels.

    Parameters
    ----------
    hmms : HMMs
        One per class; their output densities are the outputs of the net.
    labels : np.ndarray, shape (n_models,), int64
        The label of each HMM.
    log_priors : np.ndarray, shape (n_outputs,)
        Log prior of each output; zeros if posteriors are not divided by their priors.
    log_class_priors : np.ndarray, shape (n_models,)
        Log prior of each class.
    """

    hmms: HMMs
    labels: np.ndarray
    log_priors: np.ndarray
    log_class_priors: np.ndarray

    def log_emissions(self, logits: torch.Tensor) -> np.ndarray:
        """Return log scaled likelihoods, log p(state | window) - log p(state), of each row."""
        return logits.double().cpu().log_softmax(dim=1).numpy() - self.log_priors

    def scores(self, logits: torch.Tensor) -> np.ndarray:
        """Return the log posterior of each class per row of a track, ``(1, n_models)``."""
        from scipy.special import logsumexp

        found = log_likelihoods(self.hmms, self.log_emissions(logits), offsets_of([len(logits)]))
        found += self.log_class_priors
        return np.asarray((found - logsumexp(found, axis=1, keepdims=True)) / len(logits))

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name."""
        own = {name: getattr(self, name) for name in ("labels", "log_priors", "log_class_priors")}
        return {**self.hmms.arrays(), **own}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], n_outputs: int) -> "StateDecoder":
        """Rebuild a decoder from `arrays`.

        Raises
        ------
        FormatError
            If the arrays do not fit together or the outputs of the net.
        """
        hmms = HMMs.from_arrays(arrays)
        labels, log_priors, of_class = (
            arrays[name] for name in ("labels", "log_priors", "log_class_priors")
        )
        n = (hmms.n_models,)
        if labels.shape != n or of_class.shape != n or log_priors.shape != (n_outputs,):
            raise FormatError(f"HMMs of {hmms.n_models} classes for {len(labels)} labels")
        if hmms.n_pdfs > n_outputs or len(np.unique(labels)) < len(labels) or labels.min() < 0:
            raise FormatError(f"HMMs of {hmms.n_pdfs} outputs for a net of {n_outputs}")
        return cls(hmms, labels.astype(np.int64), log_priors, of_class)


class HybridNet(TrainedNet):
    """A DNN-HMM: a net that reads a window around every row of a track, and HMMs.

    The rows at the ends of a track are repeated, so that every row is the middle of a window. A
    track has one score per label: the log posterior of the class, per row.

    Parameters
    ----------
    spec : NetSpec
        Its description; ``outputs`` are the states.
    net : nn.Module
        A net of the registry.
    standardise : Standardise
        The standardisation of its input.
    decoder : StateDecoder
        The HMMs.
    """

    def __init__(
        self, spec: NetSpec, net: nn.Module, standardise: Standardise, decoder: StateDecoder
    ) -> None:
        super().__init__(spec, net, standardise)
        self.decoder = decoder
        self.lowest, self.highest, self.threshold = -1e6, 1e6, 0.0
        self.classes_ = decoder.labels

    @property
    def layers(self) -> tuple[str, ...]:
        """The hidden layers, and the posteriors of the states."""
        return (*self.hidden_layers, STATES)

    @property
    def middle(self) -> float:
        """The first segment is around the first row of a track."""
        return 0.0

    def scores_of_logits(self, logits: torch.Tensor) -> np.ndarray:
        """Return the scores of the track with these logits, ``(1, n_classes)`` float64."""
        return self.decoder.scores(logits)

    def segments(self, rows: np.ndarray, later: int = 0) -> Iterator[torch.Tensor]:
        """Yield batches of standardised windows, one around each row of a track."""
        return super().segments(padded(rows, self.spec.n_frames), later)

    def hidden(self, rows: np.ndarray, layers: Sequence[str]) -> np.ndarray:
        """Return hidden layers or ``states``, the posteriors of the states, a row per row."""
        names = [name.partition(":")[0] for name in layers]
        if STATES not in names:
            return super().hidden(rows, layers)
        found = [
            self.logits(rows).softmax(dim=1).cpu().numpy()
            if name == STATES
            else super(HybridNet, self).hidden(rows, [layer])
            for name, layer in zip(names, layers, strict=True)
        ]
        return np.concatenate(found, axis=1)

    def align(self, rows: np.ndarray, label: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the best path through the HMM of a label, and the posteriors of its states.

        See `mcls.hmm.alignment.path_and_posteriors`.

        Raises
        ------
        ConfigError
            If the label has no HMM.
        """
        known = self.classes_.tolist()
        if label not in known:
            raise ConfigError("the label has no HMM, as no train track has it")
        hmms, emissions = self.emissions(rows)
        return path_and_posteriors(hmms, known.index(label), emissions)

    @property
    def hmm_labels(self) -> np.ndarray:
        """The label of each HMM."""
        return self.decoder.labels

    def emissions(self, rows: np.ndarray) -> tuple[HMMs, np.ndarray]:
        """Return the HMMs, and the log scaled likelihood of each row in each of their states.

        Parameters
        ----------
        rows : np.ndarray, shape (n_rows, n_dims)
        """
        return self.decoder.hmms, self.decoder.log_emissions(self.logits(rows))

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return everything that was learnt, by name."""
        arrays = {_PREFIX + name: array for name, array in self.decoder.arrays().items()}
        return super().tensors() | {name: torch.tensor(array) for name, array in arrays.items()}


@dataclass(frozen=True)
class HybridValidation(Validation):
    """The valid part of a DNN-HMM, whose loss is that of the states on the best paths.

    Parameters
    ----------
    states : list of np.ndarray, each (n_rows, n_outputs), float32
        The target of each row of each track. A track whose class the train part has not counts for
        the metrics only.
    """

    states: list[np.ndarray]

    def targets_of(self, i: int) -> np.ndarray:
        """Return the targets of the rows of a track, ``(n_rows, n_outputs)``."""
        return self.states[i] * self.tracks.targets[i].any()


def padded(rows: np.ndarray, n_frames: int) -> np.ndarray:
    """Repeat the first and the last row, so that there is a window of frames around each row.

    Examples
    --------
    >>> padded(np.array([[1], [2], [3]]), 4)[:, 0].tolist()
    [1, 1, 2, 3, 3, 3]
    """
    before = (n_frames - 1) // 2
    return np.pad(rows, ((before, n_frames - 1 - before), (0, 0)), mode="edge")


def read_decoder(tensors: Mapping[str, torch.Tensor], n_outputs: int) -> StateDecoder | None:
    """Return the decoder among the tensors of a file, if there is one."""
    arrays = {
        name.removeprefix(_PREFIX): tensor.numpy()
        for name, tensor in tensors.items()
        if name.startswith(_PREFIX)
    }
    return StateDecoder.from_arrays(arrays, n_outputs) if arrays else None
