"""The plots there are: the kind of file that each shows, and the options that ask for it.

A plot is a function of this package that takes the path, or the list of paths, and its options, and
returns a figure and a short description. It is named here, so that nothing is imported before it is
drawn.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mcls.errors import ConfigError
from mcls.plots.page import Figure


@dataclass(frozen=True)
class View:
    """A plot of a kind of file.

    Parameters
    ----------
    function : str
        ``module.function`` in this package.
    asks : tuple of str
        The options that ask for it; none: the plot without any.
    value : str
        The keyword that gets the value of the option that asks, or the names of the options if
        several can ask together; empty: none does.
    takes : frozenset of str
        Its other options.
    writes : bool
        Whether it writes files beside the image, so that it gets the keyword ``out``.
    paths : {'one', 'several', 'any'}
        How many paths it shows. For other than one the function takes a list.
    """

    function: str
    asks: tuple[str, ...] = ()
    value: str = ""
    takes: Collection[str] = frozenset()
    paths: str = "one"
    writes: bool = False

    def draw(self, paths: list[Any], out: Path, given: dict[str, Any]) -> tuple[Figure, str]:
        """Call the function with the options that were given."""
        module, name = self.function.split(".")
        options = {key: value for key, value in given.items() if key not in self.asks}
        asked = [key for key in self.asks if key in given]
        if self.writes:
            options["out"] = out
        if self.value:
            options[self.value] = tuple(asked) if len(self.asks) > 1 else given[asked[0]]
        function = getattr(import_module(f"mcls.inspection.{module}"), name)
        page: tuple[Figure, str] = function(paths[0] if self.paths == "one" else paths, **options)
        return page


_SCORES = ("roc", "pr", "calibration")

VIEWS: dict[str, list[View]] = {
    "dictionary": [
        View("dictionary.plot_dictionary", takes={"top", "sort", "space"}),
        View(
            "dictionary_samples.plot_samples", ("samples",), "samples", {"steps", "label", "audio"}
        ),
        View(
            "dictionary_reconstruction.plot_reconstruction",
            ("reconstruct",),
            "reconstruct",
            {"store", "encoder", "audio"},
        ),
    ],
    "store": [
        View("store.plot_overview", takes={"features"}),
        View("store.plot_track", ("track",), "track", {"features", "dicts", "encoder", "pool"}),
    ],
    "run": [
        View("run.plot_run", takes={"part"}),
        View("several_runs.plot_several_runs", paths="several"),
        View("label_curves.plot_label_curves", _SCORES, "kinds", {"part"}, "any"),
        View(
            "embedding.plot_embedding",
            ("embedding",),
            "embedding",
            {"part", "label", "store"},
            "any",
        ),
        View("histograms.plot_histograms", ("histograms",)),
        View("errors.plot_errors", ("errors",), "", {"part", "top", "store", "audio_root"}),
        View("filters.plot_filters", ("filters",), "", {"top", "layer"}),
        View("net.plot_saliency", ("saliency",), "track", {"label", "store", "how", "layer"}),
        View("net.plot_taggram", ("taggram",), "track", {"store", "every", "top"}),
        View("net.plot_alignment", ("alignment",), "track", {"label", "store"}),
        View("units.plot_maps", ("track",), "track", {"layer", "store", "top"}),
        View("units.plot_maximised", ("maximise",), "", {"layer", "top"}),
        View(
            "units.plot_exciting",
            ("exciting",),
            "exciting",
            {"layer", "store", "top", "audio_root"},
            writes=True,
        ),
    ],
    "audio file": [View("audio.plot_audio", takes={"features"})],
    "recipe": [View("recipe.plot_recipe")],
}


def view_for(kind: str, paths: Sequence[Path], given: Collection[str]) -> View:
    """Return the plot of paths of a kind that some options ask for.

    Parameters
    ----------
    kind : str
        A key of ``VIEWS``.
    paths : sequence of Path
        Paths of that kind.
    given : collection of str
        The options that were given.

    Raises
    ------
    ConfigError
        If options of several plots are given, or one that does not suit the plot.
    """
    views = VIEWS[kind]
    for name in sorted(given):
        if not any(name in view.asks or name in view.takes for view in views):
            raise ConfigError(
                f"{paths[0]} is {_a(kind)}, which takes no option {_word(name)}; {_owners(name)}"
            )
    asked = [view for view in views if set(view.asks) & set(given)]
    if len(asked) > 1:
        words = [_word(name) for view in asked for name in view.asks if name in given]
        raise ConfigError(f"choose one of {', '.join(words)}")
    right = ("several" if len(paths) > 1 else "one", "any")
    fitting = [view for view in asked or views if view.paths in right and (asked or not view.asks)]
    if not fitting:
        raise ConfigError(f"{_word(asked[0].asks[0])} is plotted of one {kind} at a time")
    [view] = fitting
    for name in sorted(set(given) - {*view.asks} - {*view.takes}):
        if asked:
            said = ", ".join(_word(one) for one in sorted(view.takes)) or "no other option"
            raise ConfigError(f"{_word(view.asks[0])} does not take {_word(name)}; it takes {said}")
        suited = [one for one in views if name in one.takes and one.paths in right]
        others = [_word(one) for view in suited for one in view.asks]
        if not others:
            raise ConfigError(f"{_word(name)} is for one {kind} at a time")
        one_of = "one of " * (len(others) > 1)
        raise ConfigError(f"{_word(name)} goes with {one_of}{', '.join(others)}")
    return view


def _word(name: str) -> str:
    """Return an option as it is typed."""
    return "--" + {"dicts": "dict", "features": "feature"}.get(name, name).replace("_", "-")


def _owners(name: str) -> str:
    """Say to which kinds of file an option applies."""
    kinds = [
        kind for kind, views in VIEWS.items() if any(name in {*v.asks, *v.takes} for v in views)
    ]
    return f"it applies to {' or '.join(map(_a, kinds))}" if kinds else "there is no such option"


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
