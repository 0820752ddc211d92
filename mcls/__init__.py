"""Music classification from MFCC + K-means to deep nets, over one data layer and one evaluation.

The stages of the command line as functions::

    import mcls

    mcls.extract("music/", "mfcc.h5", features=["mfcc"], jobs=2)
    mcls.learn_dict("mfcc.h5", "vq.h5", method="kmeans", size=256)
    mcls.train("mfcc.h5", "runs/vq", dicts=["vq.h5"], pool=["histogram"], model="svm")
    auc = mcls.evaluate("runs/vq", metrics=["auc"])["auc"].macro

Nothing heavy is imported before the first call.
"""

import sys
from importlib import import_module
from typing import Any

if sys.platform == "win32":
    raise ImportError(
        "mcls does not run on Windows, which lacks the file locks and the fork() that it needs; "
        "install it in the Windows Subsystem for Linux (wsl --install)"
    )

__version__ = "0.2.0"

#: Public names and the module that holds each.
_PLACES = {
    "extract": "mcls.extraction.extract",
    "import_rows": "mcls.extraction.import_rows",
    "learn_dict": "mcls.stages.learn",
    "encode": "mcls.stages.encode",
    "train": "mcls.stages.train",
    "cross_validate": "mcls.recipes.cross_validate",
    "tune": "mcls.tuning.tune",
    "predict": "mcls.stages.predict",
    "evaluate": "mcls.judging.evaluate",
    "compare": "mcls.judging.compare",
    "open_run": "mcls.disk.run",
    "read_predictions": "mcls.tables.predictions",
    "Store": "mcls.stores.store",
    "MclsError": "mcls.errors",
}

__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'mcls' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
