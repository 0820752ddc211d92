"""A dry run of a recipe: the sizes of what each table reads and makes, without audio.

Every option and setting is resolved as in a real run, poolers are applied to rows of zeros, and
nets are built without their weights. So a recipe whose tables do not fit together, or whose
segments are longer than its excerpts, is found before an hour of extraction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mcls.audio.files import parse_excerpt
from mcls.chain.options import Representation
from mcls.data.options import Split
from mcls.dictionaries.options import Learning
from mcls.disk.recipe import Recipe
from mcls.errors import ConfigError
from mcls.extraction.options import Extraction
from mcls.features.augmentations import parse_augmentations
from mcls.features.extractor import Extractor
from mcls.features.specs import parse_features
from mcls.options import build, options_of
from mcls.recipes.features import extraction_of
from mcls.recipes.graph import RecipeNode, nodes_of
from mcls.recipes.sizes import RowSize, code_count, net_size, pooled_size
from mcls.registry import Entry, find, find_in
from mcls.settings import parse_pairs, resolve
from mcls.stages.options import Model
from mcls.stages.plan import MODELS
from mcls.training.options import Training
from mcls.training.segments import grid, step_of

#: Sampling rate that is assumed where each file keeps its own, in Hz.
_NATIVE = 44100


@dataclass(frozen=True)
class SizedTable:
    """A table of a recipe with the sizes of what it reads and makes.

    Parameters
    ----------
    command : str
        The command of the table; of ``extract`` there is one per feature.
    out : str
        The name of its output; empty for the run of the recipe.
    what : str
        The feature, method or model.
    reads : RowSize or None
        The rows of a track that it reads; None for audio.
    makes : RowSize or None
        The rows of a track that it makes; None for a classifier.
    context : int
        Successive rows that are read at once: by a dictionary, or as the segment of a net.
    units : dict of str to int
        Units of each hidden layer of a net, or of a dictionary.
    n_parameters, flops : int or None
        Parameters of a net, and its operations for a segment; a multiply-add is two.
    training_flops : int
        Operations to train a net on a track for all epochs: three times those of its segments.
    training_steps : float
        Steps of the optimizer for a track and all epochs.
    """

    command: str
    out: str
    what: str
    reads: RowSize | None = None
    makes: RowSize | None = None
    context: int = 1
    units: Mapping[str, int] = field(default_factory=dict)
    n_parameters: int | None = None
    flops: int | None = None
    training_flops: int = 0
    training_steps: float = 0.0


def dry_run(
    recipe: Recipe, *, n_labels: int = 10, seconds: float = 30.0, multi_label: bool = False
) -> list[SizedTable]:
    """Size every table of a recipe.

    Parameters
    ----------
    recipe : mapping
        A recipe from `read_recipe`.
    n_labels : int
        Number of labels.
    seconds : float
        Length of a track in seconds, where the recipe takes no excerpt.
    multi_label : bool
        Whether a track may have several labels.

    Returns
    -------
    list of SizedTable
        The features, then the tables in the order in which they run; the last one trains.

    Raises
    ------
    ConfigError
        If an option or setting is wrong, the tables do not fit together, or a segment is longer
        than the excerpt.
    """
    found = _features(recipe, seconds)
    stores = {"": {table.out: _rows(table.makes) for table in found}}
    made: dict[str, SizedTable] = {}
    for node in nodes_of(recipe):
        features = stores[node.store or ""]
        if node.command == "learn-dict":
            table = _learnt(node, features)
        elif node.command == "encode":
            table = _encoded(node, features, made)
            stores[node.out] = {"codes": _rows(table.makes)}
        else:
            table = _trained(node, features, made, n_labels, multi_label)
        found.append(table)
        made[node.out] = table
    return found


def gpu_hours(tables: Sequence[SizedTable], n_tracks: int) -> float:
    """Estimate the hours on a GPU to train all nets of a recipe for all of their epochs.

    A GPU is taken to do 10 TFLOP/s, and to need 3 ms for a step however small.
    """
    return sum(
        n_tracks * (one.training_flops / 1e13 + one.training_steps * 3e-3) / 3600 for one in tables
    )


def _features(recipe: Recipe, seconds: float) -> list[SizedTable]:
    asked = _options(Extraction, extraction_of(recipe))
    parse_augmentations(asked.augmentations)
    excerpt = parse_excerpt(asked.excerpt)
    sr = asked.sr or _NATIVE
    n_samples = round((excerpt.seconds if excerpt else seconds) * sr)
    specs = parse_features(asked.features, asked.settings)
    built = Extractor(specs, sr=sr, excerpt=excerpt).features(sr)
    sizes = {
        name: RowSize(one.n_dims, one.frame_rate, n_samples // one.hop_length + bool(one.margin))
        for name, one in built.items()
    }
    return [SizedTable("extract", one.name, one.feature, makes=sizes[one.name]) for one in specs]


def _options(cls: type, arguments: Mapping[str, Any]) -> Any:
    """Return the options of one kind among the arguments of a stage, checked."""
    names = {one.name for one in options_of(cls)}
    return build(cls, {key: value for key, value in arguments.items() if key in names})


def _learnt(node: RecipeNode, features: Mapping[str, RowSize]) -> SizedTable:
    """Size a dictionary and the codes of its own encoder."""
    how = _options(Learning, node.arguments)
    settings = resolve(find("dictionaries", how.method), parse_pairs(how.settings))
    [rows] = _chosen(features, how.feature)
    units = settings.get("layers", (how.size,))
    codes = _codes(rows, units[-1], how.context)
    named = {f"layer {i}": n for i, n in enumerate(units, start=1)}
    return SizedTable(node.command, node.out, how.method, rows, codes, how.context, named)


def _codes(rows: RowSize, n_codes: int, context: int) -> RowSize:
    if rows.n_rows < context:
        raise ConfigError(f"context is {context}, but a track has {rows.n_rows} rows")
    return replace(rows, n_dims=n_codes, n_rows=rows.n_rows - context + 1)


def _encoded(
    node: RecipeNode, features: Mapping[str, RowSize], made: Mapping[str, SizedTable]
) -> SizedTable:
    """Size a store of encoded rows."""
    rows = _represented(node, features, made)
    return SizedTable(node.command, node.out, ", ".join(node.inputs()), makes=rows)


def _represented(
    node: RecipeNode, features: Mapping[str, RowSize], made: Mapping[str, SizedTable]
) -> RowSize:
    """Return the rows that a table encodes or trains on: those of all branches, side by side."""
    how: Representation = _options(Representation, node.arguments)
    branches = [_read_with(_found(made, name), how.encoder, node) for name in how.dicts]
    branches = branches or _chosen(features, how.feature)
    pooled = [pooled_size(rows, how.pool) for rows in branches]
    rates = {None if one.rate is None else round(one.rate, 6) for one in pooled}
    if len(rates) > 1:
        raise ConfigError(
            f"recipe [{node.command}]: the rows to be put side by side have different rates "
            f"({', '.join(map(str, rates))} per second); pool each to the whole track"
        )
    least = min(one.n_rows for one in pooled)
    return RowSize(sum(one.n_dims for one in pooled), pooled[0].rate, least)


def _read_with(table: SizedTable, encoder: str | None, node: RecipeNode) -> RowSize:
    """Return the rows that a dictionary, or the hidden layers of a net, make."""
    rows, units = _rows(table.reads), table.units
    if table.command == "learn-dict":
        return _codes(rows, code_count([*units.values()], encoder), table.context)
    if not units:
        raise ConfigError(f"{table.out} is a classifier, which has no hidden layers")
    from mcls.training.model import chosen_layers

    layers = chosen_layers([*units], node.arguments.get("layers", ()))
    n_units = sum(units[name.partition(":")[0]] for name in layers)
    return replace(_rows(table.makes), n_dims=n_units)


def _trained(
    node: RecipeNode,
    features: Mapping[str, RowSize],
    made: Mapping[str, SizedTable],
    n_labels: int,
    multi_label: bool,
) -> SizedTable:
    """Size a classifier or a net."""
    model: Model = _options(Model, node.arguments)
    _options(Split, node.arguments)
    entry = find_in(MODELS, model.model)
    given: dict[str, Any] = dict(parse_pairs(model.settings))
    if entry.facts.get("reads") == "scores":
        n_scores = n_labels * len(node.arguments.get("dicts", ()))
        return SizedTable(node.command, node.out, model.model, RowSize(n_scores, None, 1))
    rows = _represented(node, features, made)
    if entry.family == "classifiers":
        resolve(entry, given)
        return SizedTable(node.command, node.out, model.model, rows)
    training = _options(Training, node.arguments).for_labels(multi_label=multi_label)
    first = [_found(made, name) for name in training.init]
    if [one.command for one in first] == ["learn-dict"]:
        given = {"layers": tuple(first[0].units.values()), **given}
        training = replace(training, frames=first[0].context)
    return _net(node, entry, given, training, rows, n_labels)


def _net(
    node: RecipeNode,
    entry: Entry,
    given: Mapping[str, Any],
    training: Training,
    rows: RowSize,
    n_labels: int,
) -> SizedTable:
    """Size a net and its training."""
    published = int(entry.facts.get("frames", 1))
    frames = training.segment_rows(rows.rate, published, rows.n_rows)
    if frames > rows.n_rows and training.short == "loop":
        raise ConfigError(
            f"recipe [{node.command}]: a segment has {frames} rows, but a track has {rows.n_rows}; "
            'ask for a longer excerpt, a shorter segment, or short = "pad"'
        )
    states = resolve(entry, given)["states"] if entry.facts.get("outputs") == "states" else 1
    size = net_size(entry.name, given, frames, rows.n_dims, n_labels * int(states))
    scored = len(grid(rows.n_rows, frames, training.overlap))
    trained = max(1, rows.n_rows // frames)
    if states != 1:  # HMMs read a segment around each row
        scored = trained = rows.n_rows
    segments = (training.crops or trained) * training.epochs
    rate = None if rows.rate is None else rows.rate / step_of(frames, training.overlap)
    return SizedTable(
        node.command,
        node.out,
        entry.name,
        rows,
        RowSize(n_labels, rate, scored),
        frames,
        size.layers,
        size.n_parameters,
        size.flops,
        3 * size.flops * segments,
        segments / training.batch_size,
    )


def _chosen(features: Mapping[str, RowSize], asked: str | None) -> list[RowSize]:
    """Return the features that a table reads: those named, or the only one."""
    if asked is None and len(features) > 1:
        raise ConfigError(f"the store has {', '.join(features)}; say which feature a table reads")
    names = [*features] if asked is None else asked.split(",")
    absent = [name for name in names if name not in features]
    if absent:
        raise ConfigError(f"there is no feature {absent[0]!r}; the store has {', '.join(features)}")
    return [features[name] for name in names]


def _found(made: Mapping[str, SizedTable], name: str) -> SizedTable:
    if name not in made:
        raise ConfigError(f"{name!r} is made by no table before; a dry run sizes recipes alone")
    return made[name]


def _rows(size: RowSize | None) -> RowSize:
    assert size is not None
    return size
