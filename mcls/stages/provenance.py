"""The content of about.json: what `predict` reads, and the versions and machine of a run."""

import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcls import __version__
from mcls.remote.places import spelled
from mcls.stages.plan import Plan

#: Libraries whose version can change a metric.
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "soundfile", "soxr", "h5py", "skops")


def provenance(plan: Plan, model: Any, summary: dict[str, Any]) -> dict[str, Any]:
    """Return the content of about.json.

    Parameters
    ----------
    plan : Plan
        The plan of the run.
    model : classifier or TrainedNet
        The fitted model.
    summary : dict
        The summary that `train` returns.
    """
    aggregate = plan.settings["aggregate"]
    chosen = {
        name: getattr(model, name) for name in ("C_", "gamma_", "choice_") if hasattr(model, name)
    }
    libraries = _LIBRARIES if plan.training is None else (*_LIBRARIES, "torch")
    return {
        "labels": plan.table.names,
        "multi_label": plan.table.multi_label,
        **({"regression": True} if plan.table.regression else {}),
        "aggregate": aggregate,
        "threshold": 0.5 if aggregate == "vote" else model.threshold,
        "chosen": chosen,
        "key": plan.key,
        "split_id": plan.parts.id,
        **({"split_name": plan.parts.published} if plan.parts.published else {}),
        "notes": summary["notes"],
        "store": spelled(plan.store.path),
        "store_digest": plan.store_digest,
        "sample_rate": _own_rate(plan),
        "seed": plan.settings["seed"],
        "origins": dict(plan.origins),
        "mcls": __version__,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in libraries},
        "platform": platform.platform(),
        "host": platform.node(),
        "commit": _commit(),
        "command": sys.argv[1:] if Path(sys.argv[0]).name == "mcls" else None,
        "seconds": summary["seconds"],
        "summary": summary,
    }


def _own_rate(plan: Plan) -> int | None:
    """Return the sampling rate of the audio files if the features were not resampled."""
    rates = {step.settings.get("sr") for step in plan.chain if step.kind == "feature"}
    known = set(plan.store.tracks.get("sample_rate", []))
    return int(known.pop()) if None in rates and len(known) == 1 else None


def _commit() -> str | None:
    """Return the git commit of mcls if it runs from a checkout."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=checkout,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
