"""Make the table of all nets: each trained in the same way, small enough for two processor cores.

    python docs/results/make_zoo.py DATA [--work FOLDER] [--only NET] [...]

Every net of the registry reads the same mel segments, or samples, and is trained for the same
number of steps; its width is such that a segment takes some 5 to 80 MFLOP. So the table shows what
a net learns within a small budget, and not what the full-size net would reach. The last lines are
nets for whole clips, on one task. Everything is `mcls cv`, as in make_nets.py, whose work folder it
shares. It prints Markdown, and leaves out lines without runs.
"""

import argparse
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import joblib
from make_nets import TASKS, Task, figures, make_store, sizes

import mcls
from mcls.nets import smallest_input
from mcls.nets.describe import describe_net
from mcls.registry import entries, find
from mcls.settings import digest, resolve

EXTRACTED: dict[str, dict[str, Any]] = {
    "mel": {"features": ["mel:n_mels=128,power=1,compress=log1p,gain=1000"]},
    "fine": {
        "features": ["mel:n_fft=512,hop_length=86,n_mels=96,power=1,compress=log1p,gain=1000"],
        "sr": 12000,
    },
    "samples": {"features": ["waveform"], "sr": 11025},
}
DIMS = {"mel": 128, "fine": 96, "samples": 1}
VALID = 0.15
TRAINING = {
    "batch_size": 16,
    "optimizer": "adam:lr=1e-3",
    "schedule": "one-cycle",
    "monitor": "auc",
}
SHOWN = ("esc10", "philharmonia-tags")


@dataclass(frozen=True)
class Net:
    """A net of the registry, at a size that trains on two cores."""

    name: str
    settings: tuple[str, ...] = ()
    frames: int = 64
    extracted: str = "mel"
    epochs: int = 10
    tasks: tuple[str, ...] = SHOWN

    @property
    def run(self) -> str:
        """Name of its run folder."""
        return f"zoo-{self.name}-fine" if self.extracted == "fine" else f"zoo-{self.name}"

    @property
    def label(self) -> str:
        """The name of the net, with its width if that is not the published one."""
        widths = [one.partition("=")[2] for one in self.settings if one.startswith("width=")]
        return f"`{self.name}`" + "".join(f" x {width}" for width in widths)

    @property
    def size(self) -> tuple[str, ...]:
        """Settings and options that differ from the defaults, for the table."""
        epochs = () if self.epochs == Net.epochs else (f"epochs={self.epochs}",)
        return *self.settings, f"frames={self.frames}", *epochs

    def recipe(self) -> dict[str, Any]:
        """Return the recipe for `cross_validate`."""
        own: dict[str, Any] = {
            "model": self.name,
            "param": list(self.settings),
            "frames": self.frames,
            "epochs": self.epochs,
        }
        if self.extracted == "samples":
            own["standardize"] = "global"
        return {"train": {**own, **TRAINING}}


def whole(name: str, *settings: str) -> Net:
    """Return a net of about 100,000 parameters for clips of 5 s, as Choi et al. (2017) had."""
    return Net(name, settings, frames=697, extracted="fine", epochs=30, tasks=("esc10",))


#: Sizes that were chosen by hand; for a net that is not here, see `within_budget`.
CHOSEN = (
    Net("mlp", ("layers=512x512", "dropout=0.3"), frames=4),
    Net("cnn1d", ("width=0.25", "padding=same", "batch_norm=true", "dropout=0.3")),
    Net("dieleman"),
    Net("fcn3", ("width=0.1", "dropout=0")),
    Net("fcn4", ("width=0.1", "dropout=0")),
    Net("fcn5", ("width=0.1", "dropout=0")),
    Net("fcn6", ("width=0.1", "dropout=0")),
    Net("fcn7", ("width=0.1", "dropout=0")),
    Net("crnn", ("width=0.3",), frames=96),
    Net("local-cnn"),
    Net("pons-time", frames=80),
    Net("pons-frequency", frames=80),
    Net("pons-tf", frames=80),
    Net("pons-parallel", ("width=0.5",), frames=80),
    Net("pons-blackbox", ("width=0.25",), frames=80),
    Net("pons-onet"),
    Net("pons-pnet", ("width=0.25",), frames=216),
    Net("pons-onet-pnet", ("width=0.25",), frames=216),
    Net("pons-timbre", ("width=0.25",)),
    Net("musicnn", ("width=0.08", "envelope=mean", "dropout=0.2")),
    Net("vgg-pons", ("width=0.125", "dropout=0.05", "output_dropout=0.2"), frames=96),
    Net("pons-2018", ("width=0.1",)),
    Net("compact-cnn"),
    Net("short-chunk", ("width=0.125",)),
    Net("short-chunk-res", ("width=0.125",)),
    Net("tagging-transformer", ("width=0.125",)),
    Net("alexnet", ("width=0.125",)),
    Net("vgg16", ("width=0.1",)),
    Net("resnet18", ("width=0.25",)),
    Net("resnet34", ("width=0.2",)),
    Net("googlenet", ("width=0.25",)),
    Net("samplecnn", ("width=0.125", "modules=8"), frames=19683, extracted="samples"),
    Net("waveform-frontend", ("width=0.15",), frames=19683, extracted="samples"),
    whole("fcn4", "width=0.075", "dropout=0"),
    whole("fcn5", "width=0.06", "dropout=0"),
    whole("crnn", "width=0.5"),
)
BUDGET = 80.0  # MFLOP of a segment


def all_nets() -> list[Net]:
    """Return the nets whose sizes were chosen, and every other net of the registry."""
    chosen = {net.name for net in CHOSEN}
    return [*CHOSEN, *(within_budget(name) for name in entries("nets") if name not in chosen)]


def within_budget(name: str) -> Net:
    """Return a net at the largest width whose segments take no more than the budget."""
    net = Net(name)
    for width in (1.0, 0.5, 0.25, 0.125, 0.0625) if "width" in find("nets", name).settings else ():
        settings = (f"width={width}",) if width < 1 else ()
        net = Net(name, settings, frames=max(Net.frames, smallest_input(name, {})[0]))
        if float(mflop(net)) <= BUDGET:
            break
    return net


def main() -> None:
    """Make every run that is missing, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of esc10/ and philharmonia/")
    parser.add_argument("--work", type=Path, default=Path("build/nets"))
    parser.add_argument("--jobs", type=int, default=2, help="number of runs at a time")
    known = all_nets()
    names = sorted({net.name for net in known})
    parser.add_argument("--only", choices=names, action="append", help="make only these nets")
    parser.add_argument("--dataset", choices=SHOWN, action="append", help="make only these tasks")
    parser.add_argument("--table", action="store_true", help="print existing runs only")
    options = parser.parse_args()
    tasks = [task for task in TASKS if task.name in (options.dataset or SHOWN)]
    nets = [net for net in known if net.name in (options.only or names)]
    if not options.table:
        wanted = [(task, net) for net, task in product(nets, tasks) if task.name in net.tasks]
        for task, net in {
            (task.dataset, net.extracted): (task, net) for task, net in wanted
        }.values():
            make_store(task, *extraction(task, net, options.work), options)
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            joblib.Parallel(options.jobs, verbose=1)(
                joblib.delayed(make_run)(task, net, options.work) for task, net in wanted
            )
    print_table(options.work, known)


def extraction(task: Task, net: Net, work: Path) -> tuple[Path, dict[str, Any]]:
    """Return the path of the store that a net reads, and the features to extract."""
    wanted = EXTRACTED[net.extracted]
    return work / f"{task.dataset}-{digest(wanted)}.h5", wanted


def make_run(task: Task, net: Net, work: Path) -> None:
    """Cross-validate a net, or train it once from train to test."""
    run = work / task.name / net.run
    run.parent.mkdir(exist_ok=True)
    store, _ = extraction(task, net, work)
    mcls.cross_validate(net.recipe(), store, run, split=task.split, labels=task.labels, valid=VALID)


def print_table(work: Path, nets: list[Net]) -> None:
    """Print a line for each net that has figures."""
    tasks = [task for task in TASKS if task.name in SHOWN]
    columns = [f"{task.name}, {figure}" for task in tasks for figure in task.figures]
    print("# All nets, small: the whole table\n")
    print(
        "Made by `make zoo`; the findings are in [the comparison](nets.md). Seconds on one core.\n"
    )
    print("| net | size |", " | ".join([*columns, "MFLOP", "parameters", "s/epoch"]), "|")
    print("|---|---|" + "---|" * (len(columns) + 3))
    for net in nets:
        cells = [cell for task in tasks for cell in figures(task, net.run, work)]
        if any(cells):
            how = ", ".join(f"`{setting}`" for setting in net.size)
            cells += [mflop(net), *sizes(net.run, work)]
            print("|", " | ".join([net.label, how, *cells]), "|")


def mflop(net: Net) -> str:
    """Return the operations of a segment of esc10, in millions."""
    settings = resolve(find("nets", net.name), dict(s.split("=", 1) for s in net.settings))
    layers = describe_net(net.name, settings, net.frames, DIMS[net.extracted], 10)
    return f"{sum(layer.flops for layer in layers) / 1e6:.1f}"


if __name__ == "__main__":
    main()
