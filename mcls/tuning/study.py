"""The study: which values are tried next, when a trial is ended early, and what trials gave.

Optuna's tree-structured Parzen estimator (TPE) proposes values [1]_. Its seed is that of the search
and the number of trials before, so that a search which was killed goes on with the very values with
which it would have gone on. Trials of classifiers are pruned by successive halving over the share
of the train tracks [2]_, trials of nets by the median of other trials at the same epoch.

A process holds the lock of its trial's folder. A trial that is said to run, but whose lock is free,
was killed; it is marked as failed and its values are proposed again.

References
----------
.. [1] J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl, "Algorithms for hyper-parameter optimization",
   NeurIPS 2011.
.. [2] L. Li, K. Jamieson, A. Rostamizadeh, E. Gonina, M. Hardt, B. Recht, A. Talwalkar, "A system
   for massively parallel hyperparameter tuning", MLSys 2020.

Differs from the papers: TPE and successive halving are those of Optuna; a trial is dropped at a
share unless it is in the better half of those that got there before it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from mcls.disk.workspace import Workspace
from mcls.errors import ConfigError, DataError, MclsError, missing_extra
from mcls.settings import canonical
from mcls.tuning.score import Report
from mcls.tuning.space import Parameter, values_of
from mcls.tuning.trial_result import TrialResult, result_of, was_killed

#: Trials without pruning and with values drawn at random, before others are judged by them.
_FIRST = 5

#: The search ends if so many trials failed and no other is there.
_FAILED = 3

#: What a trial measures: takes the values, a folder and what to report to; returns the score.
Measure = Callable[[Mapping[str, Any], Path, Report], float]


class Study:
    """Trials in a database that several processes may share.

    Parameters
    ----------
    url : str
        The database, as SQLAlchemy writes it.
    name : str
        The name of the study; the same name is the same search.
    parameters : sequence of Parameter
        The search space.
    folder : Path
        Where trials work.
    minimize : bool
        Whether low scores are better.
    pruner : {'epochs', 'shares', 'none'}
        What ends trials early.
    n_epochs : int
        Of the trainings of a net.
    seed : int
    """

    def __init__(
        self,
        url: str,
        name: str,
        parameters: Sequence[Parameter],
        folder: Path,
        *,
        minimize: bool,
        pruner: str,
        n_epochs: int = 0,
        seed: int = 0,
    ) -> None:
        optuna = need_optuna()
        self.parameters = parameters
        self.folder = folder
        self.minimize = minimize
        self.by_epoch = pruner == "epochs"
        self.seed = seed
        pruners = {
            "none": optuna.pruners.NopPruner(),
            "epochs": optuna.pruners.MedianPruner(_FIRST, max(1, n_epochs // 4)),
            "shares": optuna.pruners.SuccessiveHalvingPruner(25, reduction_factor=2),
        }
        make = partial(
            optuna.create_study,
            study_name=name,
            direction="minimize" if minimize else "maximize",
            pruner=pruners[pruner],
            load_if_exists=True,
        )
        with self._alone():  # of several processes that begin, one makes the tables
            try:
                self._study = make(storage=_storage(url))
            except Exception as error:
                known = type(error).__module__.split(".")[0] in ("sqlalchemy", "optuna")
                if not (known or isinstance(error, ImportError)):
                    raise
                first = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise ConfigError(f"the trials cannot be kept in {url}: {first}") from error

    def run(
        self,
        measure: Measure,
        n_trials: int,
        *,
        first: Mapping[str, Any] | None = None,
        until: float | None = None,
        on_trial: Callable[[TrialResult], None] | None = None,
    ) -> None:
        """Run trials until `n_trials` are there, those of other processes included.

        Parameters
        ----------
        measure : callable
            Takes values by key, the folder of the trial and a report; returns the score.
        n_trials : int
            How many trials there will be; killed ones do not count.
        first : mapping or None
            What is drawn first (see `Parameter.drawn`); this trial is not pruned.
        until : float or None
            The monotonic time after which no trial begins.
        on_trial : callable or None
            Called with each trial that is done.

        Raises
        ------
        DataError
            If the first trials all fail.
        """
        while until is None or time.monotonic() < until:
            begun = self._begin(n_trials, first)
            if begun is None:
                return
            trial, work = begun
            try:
                self._run(trial, work, measure)
            finally:
                work.__exit__(None, None, None)
            results = self.results()
            if on_trial is not None:
                on_trial(results[trial.number])
            failed = [one for one in results if one.state == "failed"]
            if len(failed) == len(results) >= _FAILED:
                raise DataError(f"the first {len(failed)} trials failed: {failed[-1].why}")

    def results(self) -> list[TrialResult]:
        """Return every trial, in order."""
        trials = self._study.get_trials(deepcopy=False)
        return [result_of(trial, self.parameters, by_epoch=self.by_epoch) for trial in trials]

    def best(self) -> TrialResult | None:
        """Return the best complete trial, the earliest of several."""
        done = [one for one in self.results() if one.state == "complete" and one.score is not None]
        sign = 1 if self.minimize else -1
        return min(done, key=lambda one: (sign * (one.score or 0.0), one.number), default=None)

    def importances(self) -> dict[str, float]:
        """Return which share of the scores' variance each value explains (fANOVA).

        Empty with one value, or fewer than two different scores.
        """
        done = [one for one in self.results() if one.state == "complete"]
        if len(self.parameters) < 2 or len({one.score for one in done}) < 2:
            return {}
        evaluator = need_optuna().importance.FanovaImportanceEvaluator(seed=self.seed)
        try:
            found = need_optuna().importance.get_param_importances(self._study, evaluator=evaluator)
        except (ValueError, RuntimeError):  # too few trials, or the same values in all of them
            return {}
        return {str(key): float(value) for key, value in found.items()}

    def _alone(self) -> Workspace:
        """Return a lock that one process of this folder holds at a time."""
        return Workspace(self.folder / "begin", wait=True)

    def _begin(
        self, n_trials: int, first: Mapping[str, Any] | None
    ) -> tuple[Any, Workspace] | None:
        """Begin a trial and hold its folder; None if there are enough."""
        optuna = need_optuna()
        with self._alone():
            self._fail_dead()
            trials = self._study.get_trials(deepcopy=False)
            waiting = [one for one in trials if one.state.name == "WAITING"]
            counted = [one for one in trials if not was_killed(one) and one not in waiting]
            if len(counted) >= n_trials:
                return None
            if not (counted or waiting) and first is not None:
                self._study.enqueue_trial(dict(first), user_attrs={"own": True})
            self._study.sampler = optuna.samplers.TPESampler(
                seed=self.seed + 1009 * len(counted), n_startup_trials=_FIRST
            )
            trial = self._study.ask(_distributions(optuna, self.parameters))
            trial.set_user_attr("folder", str(self.folder.absolute()))
            work = Workspace(self.folder / f"{trial.number:04d}", wait=True)
            work.__enter__()
        return trial, work

    def _run(self, trial: Any, work: Workspace, measure: Measure) -> None:
        """Run a trial and tell what it gave; one with values that were tried takes their score."""
        optuna = need_optuna()
        states = optuna.trial.TrialState
        if (known := self._known(trial)) is not None:
            self._study.tell(trial, known.value, state=known.state)
            return

        def report(step: int, score: float) -> None:
            trial.report(score, step)
            if trial.should_prune() and "own" not in trial.user_attrs:
                raise optuna.TrialPruned

        values = values_of(self.parameters, trial.params)
        try:
            score = measure(values, work.pieces, report)
        except optuna.TrialPruned:
            self._study.tell(trial, state=states.PRUNED)
        except MclsError as error:
            trial.set_user_attr("error", str(error))
            self._study.tell(trial, state=states.FAIL)
        else:
            self._study.tell(trial, score)

    def _known(self, trial: Any) -> Any:
        """Return a trial with the same values that is complete, or None."""
        same = canonical(values_of(self.parameters, trial.params))
        for other in self._study.get_trials(deepcopy=False):
            if (
                other.state.name == "COMPLETE"
                and other.number != trial.number
                and (canonical(values_of(self.parameters, other.params)) == same)
            ):
                return other
        return None

    def _fail_dead(self) -> None:
        """Mark the trials of this folder whose process has ended as failed."""
        own = str(self.folder.absolute())
        for trial in self._study.get_trials(deepcopy=False):
            if trial.state.name != "RUNNING" or trial.user_attrs.get("folder", own) != own:
                continue
            with suppress(DataError), Workspace(self.folder / f"{trial.number:04d}"):
                self._study.tell(trial.number, state=need_optuna().trial.TrialState.FAIL)


def _distributions(optuna: Any, parameters: Sequence[Parameter]) -> dict[str, Any]:
    found = {}
    for one in parameters:
        if one.choices:
            made = optuna.distributions.CategoricalDistribution(one.texts())
        elif one.whole:
            made = optuna.distributions.IntDistribution(
                one.low, one.high, log=one.log, step=int(one.step or 1)
            )
        else:
            made = optuna.distributions.FloatDistribution(
                one.low, one.high, log=one.log, step=one.step
            )
        found[one.key] = made
    return found


def _storage(url: str) -> Any:
    """Return a database; SQLite waits for other processes that write."""
    storage = need_optuna().storages.RDBStorage
    if url.startswith("sqlite:"):
        return storage(url, engine_kwargs={"connect_args": {"timeout": 120}})
    return storage(url)


def need_optuna() -> Any:
    """Return optuna, with its log off.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise missing_extra("mcls tune", "optuna", "tune") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
