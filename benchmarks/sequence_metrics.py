"""Segment-based metrics of random timelines, by sed_eval and by mcls; both must be the same.

    pip install sed_eval setuptools
    python benchmarks/sequence_metrics.py

sed_eval imports pkg_resources, which new versions of setuptools have not, so it is no dependency of
the tests; they hold the numbers that this prints.
"""

import sys
import types
import warnings

import numpy as np

from mcls.evaluation.sequences import segment_counts
from mcls.tables.events import Event


def random_events(rng: np.random.Generator) -> list[Event]:
    """Return 20 events of three labels, with gaps; as in tests/test_events.py."""
    found, now = [], 0.0
    for _ in range(20):
        now += 0.3 * rng.random()
        end = now + rng.random()
        found.append(Event(round(now, 3), round(end, 3), "abc"[rng.integers(3)]))
        now = found[-1].end
    return found


def main() -> None:
    """Print the error rate and F1 of both at 0.1 s and 1 s."""
    if "pkg_resources" not in sys.modules:
        sys.modules["pkg_resources"] = types.ModuleType("pkg_resources")
    warnings.simplefilter("ignore")
    import dcase_util
    import sed_eval

    rng = np.random.default_rng(0)
    for resolution in (0.1, 1.0):
        both = random_events(rng), random_events(rng)
        true, said = (
            dcase_util.containers.MetaDataContainer(
                [
                    {"filename": "x", "event_label": e.label, "onset": e.start, "offset": e.end}
                    for e in events
                ]
            )
            for events in both
        )
        theirs = sed_eval.sound_event.SegmentBasedMetrics(list("abc"), resolution)
        theirs.evaluate(reference_event_list=true, estimated_event_list=said)
        found = theirs.results_overall_metrics()
        s, d, i, hits, n = segment_counts(*both, resolution)
        print(f"{resolution} s  sed_eval  mcls")
        print("error", found["error_rate"]["error_rate"], (s + d + i) / n)
        print("f1   ", found["f_measure"]["f_measure"], 2 * hits / (2 * hits + 2 * s + d + i))


if __name__ == "__main__":
    main()
