"""Open damaged files: python -m fuzz.open_damaged ORIGINALS WORK FIRST END SEED.

A line of JSON per file tells the outcome: ``same``, ``refused`` with the message, ``changed`` with
what differs, or ``broken`` with the exception. The number of the file is written to WORK/at before
it is opened, so that a file that ends the process is known.
"""

import csv
import hashlib
import json
import resource
import shutil
import signal
import sys
import traceback
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from fuzz.mutations import mutated

from mcls.chain.model_cache import fitted_model
from mcls.cli.main import cli
from mcls.disk.chain import chain_digest
from mcls.disk.dictionary import read_dictionary
from mcls.disk.run import open_run
from mcls.errors import MclsError
from mcls.inspection.info import info
from mcls.inspection.run import read_history
from mcls.judging.evaluate import evaluate
from mcls.stores.store import Store

TIME_LIMIT = 60  # s per file

#: Text that people edit: what is read may differ, but never a traceback.
EDITED = ("recipe.toml", "manifest.csv")
#: Files without checksums, as versions before 0.2 wrote them.
OLDER = ("older-store.h5", "older-dict.h5")


def numbers(value):
    """Return a digest of everything in a value."""
    sha = hashlib.sha256()

    def visit(one):
        if isinstance(one, dict):
            for key in sorted(one, key=str):
                sha.update(f"{key}:".encode())
                visit(one[key])
        elif isinstance(one, list | tuple):
            sha.update(f"[{len(one)}".encode())
            for item in one:
                visit(item)
        elif isinstance(one, np.ndarray):
            sha.update(f"{one.dtype}{one.shape}".encode() + one.tobytes())
        else:
            sha.update(repr(one).encode("utf-8", "backslashreplace"))

    visit(value)
    return sha.hexdigest()


def without_places(said):
    """Leave out where a folder lies and when it was made, which differ in a copy."""
    return {key: value for key, value in said.items() if key not in ("path", "made")}


def read_store(path):
    """Return all of a store."""
    store = Store(path)
    rows = {
        name: (one.offsets, np.array(one.rows), one.frame_rate, one.digest)
        for name, one in store.features.items()
    }
    about = (store.settings, store.notes, store.split_note, store.failed)
    return numbers([store.tracks, rows, *about])


def read_dict(path):
    """Return all of a dictionary."""
    found = read_dictionary(path)
    learnt = [step.learnt_from for step in found.chain]
    return numbers([chain_digest(found.chain), learnt, found.report, found.key])


def read_run(path):
    """Return the scores of a run for fixed rows, its metrics, history, settings and chain."""
    run = open_run(path)
    model = fitted_model(run)
    rows = np.random.default_rng(0).normal(size=(30, model.n_features_in_)).astype(np.float32)
    scores = np.concatenate(list(model.scores_of([rows])))
    chain = run.chain()
    learnt = [run.learnt_from(), *(step.learnt_from for step in chain)]
    metrics, found = without_places(evaluate(path).as_dict()), without_places(info(path))
    more = [run.settings, run.about, run.metrics(), read_history(path), metrics, found]
    return numbers([scores, chain_digest(chain), learnt, *more])


def read_cv(path):
    """Return the metrics of a cross-validation, and what `mcls info` says of it."""
    return numbers([without_places(evaluate(path).as_dict()), without_places(info(path))])


def read_edited(command):
    """Return a reader that runs a command."""

    def read(path):
        done = CliRunner().invoke(cli, [*command[:-1], str(path), *command[-1]])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        if done.exit_code not in (0, 1, 2):
            raise RuntimeError(f"exit code {done.exit_code}")
        return ""

    return read


READERS = {
    "store.h5": read_store,
    "dict.h5": read_dict,
    "run": read_run,
    "net": read_run,
    "cv": read_cv,
    "older-store.h5": read_store,
    "older-dict.h5": read_dict,
    "recipe.toml": read_edited(["-c", ["list", "features"]]),
    "manifest.csv": read_edited(["data", "check", []]),
}


def damaged(originals, work, rng):
    """Damage one file; return the kind, the file that was damaged and the path to open."""
    kind = list(READERS)[rng.integers(len(READERS))]
    copy = work / kind
    if copy.is_dir():
        shutil.rmtree(copy)
    source = originals / kind
    if source.is_dir():
        shutil.copytree(source, copy)
        files = sorted(path for path in copy.iterdir() if path.is_file())
        target = files[rng.integers(len(files))]
    else:
        target = copy
        shutil.copy(source, copy)
    others = [path for path in originals.iterdir() if path.is_file()]
    body = bytearray(target.read_bytes())
    for _ in range(int(rng.integers(1, 4))):
        if body:
            body = mutated(rng, body, others[rng.integers(len(others))].read_bytes())
    target.write_bytes(body)
    return kind, f"{kind}/{target.name}" if copy.is_dir() else kind, copy


def outcome(kind, path, expected):
    """Open a damaged file."""
    try:
        found = READERS[kind](path)
    except (MclsError, csv.Error) as error:
        named = path.name in str(error) or kind in ("run", "net", "cv")
        return ("refused", str(error)) if named else ("unnamed", str(error))
    except BaseException:
        return "broken", traceback.format_exc(limit=-4)
    if found == expected or kind in EDITED:
        return "same", ""
    return ("older" if kind in OLDER else "changed"), ""


def main():
    """Open the damaged files FIRST to END."""
    originals, work, first, end, seed = (
        Path(sys.argv[1]),
        Path(sys.argv[2]),
        *map(int, sys.argv[3:]),
    )
    expected = {kind: READERS[kind](originals / kind) for kind in READERS}
    for i in range(first, end):
        (work / "at").write_text(str(i))
        signal.alarm(TIME_LIMIT)
        kind, file, path = damaged(originals, work, np.random.default_rng([seed, i]))
        how, said = outcome(kind, path, expected[kind])
        signal.alarm(0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        line = {"i": i, "file": file, "outcome": how, "said": said[-1500:], "peak": peak}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
