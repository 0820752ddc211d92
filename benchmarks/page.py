"""Print one page with the speed of mcls beside its peers: ``make bench``.

    python benchmarks/page.py [SECTION ...] [--repeats 5] [--clock wall] [--json]

Each section is measured by the script of its name, at sizes that take a quarter of an hour in all
on two quiet cores. The sides take turns; seconds are medians, and a ratio, how many times as fast
as the peer mcls is, is the median of the ratios of the turns. All is measured on one thread but
the commands, which run as a user's do. Peers are installed with
``pip install faiss-cpu spams-bin``; without one its lines are left out.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from figures import Figure

#: Each script, and how many turns its figures take at most.
SECTIONS = {"start": 9, "short_files": 2, "extract": 9, "dictionaries": 5, "training": 9}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--repeats", type=int, default=5, help="turns of each section, at most")
    parser.add_argument(
        "--clock",
        default="wall",
        choices=["wall", "cpu"],
        help="count the seconds of the wall, or of the CPU if other work shares the machine",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    for unknown in set(asked.sections) - set(SECTIONS):
        parser.error(f"no section {unknown}; there are {', '.join(SECTIONS)}")
    started = time.monotonic()
    found = {}
    for name in asked.sections or SECTIONS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found[name] = figures_of(name, min(asked.repeats, SECTIONS[name]), asked.clock)
    load = f"load average {os.getloadavg()[2]:.1f}"
    machine = f"{processor()}, {len(os.sched_getaffinity(0))} cores, {asked.clock} clock, {load}"
    if asked.json:
        sections = {name: [asdict(one) for one in some] for name, some in found.items()}
        print(json.dumps({"machine": machine, "sections": sections}, indent=2))
        return
    print("\n".join(page([one for some in found.values() for one in some])))
    print(f"\n{machine}; measured in {(time.monotonic() - started) / 60:.0f} min")


def figures_of(name: str, repeats: int, clock: str) -> list[Figure]:
    """Return the figures of a section, measured in a process of its own."""
    program = (
        f"import sys, json, dataclasses; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"import figures, {name}; figures.set_clock({clock!r})\n"
        f"print(json.dumps([dataclasses.asdict(one) for one in {name}.figures({repeats})]))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    return [Figure(**one) for one in json.loads(done.stdout.splitlines()[-1])]


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def page(found: Sequence[Figure]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [
        "| what | mcls | peer | its time | times as fast | expected |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        theirs = "" if one.theirs is None else duration(one.theirs)
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        cells = [one.what, duration(one.ours), one.peer, theirs, ratio, expectation(one)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def expectation(one: Figure) -> str:
    """Say what is expected, and whether it is missed."""
    if one.expected is None:
        return ""
    said = f"{one.expected:g}" if one.ratio is not None else f"{one.expected:g} s"
    return said if one.is_met else f"{said}, missed"


def duration(seconds: float) -> str:
    """Return a duration with three digits.

    Examples
    --------
    >>> duration(0.01234), duration(0.9996), duration(3.14159)
    ('12.3 ms', '1 s', '3.14 s')
    """
    units = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))
    unit, scale = next((one for one in units if seconds * one[1] >= 0.9995), units[-1])
    return f"{seconds * scale:.3g} {unit}"


if __name__ == "__main__":
    main()
