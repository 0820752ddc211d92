"""Every recipe is parsed and planned: features, dictionaries, models and sizes."""

from pathlib import Path

import pytest

import mcls
from mcls.audio.files import parse_excerpt
from mcls.data.options import Split
from mcls.disk.recipe import read_recipe, stage_arguments, table_of, tables_of
from mcls.extraction.options import Extraction
from mcls.features.augmentations import parse_augmentations
from mcls.features.extractor import Extractor
from mcls.features.pooling import parse_pool
from mcls.features.specs import parse_features
from mcls.nets.describe import describe_net
from mcls.options import build, options_of
from mcls.recipes.graph import nodes_of
from mcls.registry import find, find_in
from mcls.settings import parse_pairs, resolve
from mcls.stages.options import Model
from mcls.training.options import Training

PIPELINES = Path(__file__).parents[1] / "pipelines"
NAMES = sorted(path.stem for path in PIPELINES.glob("*.toml"))
#: Parameters at the published size, for the labels of the publication. AlexNet and others are
#: torchvision's of 1000 classes (with the towers of the paper, 60,965,224 and 11,689,512) less the
#: weights of two colours; musicnn has the 787 thousand of its authors; crnn has the published
#: 396,786 with torch's second biases and the input norm over bands, as in test_nets_sizes.py, where
#: others are counted by hand.
FULL = {
    "alexnet": 60_965_224 - 2 * 11 * 11 * 96,
    "cnn1d": 8_607_016,
    "crnn": 396_786 + 2 * 3 * 32 - 2 * 1440 + 2 * 96,
    "dieleman": 66_784,
    "fcn3": 2560 + 512 + 1_770_240 + 1536 + 14_157_824 + 4096 + 102_450,
    "fcn4": 17_365_938,
    "fcn5": 25_183_026,
    "musicnn": 787_159,
    "pons-blackbox": 3104 + 3_270_600 + 1608,
    "pons-frequency": 1056 + 2312,
    "pons-onet-pnet": 5600 + 6008,
    "pons-time": 1952 + 5384,
    "pons-timbre": 74_526,
    "resnet18": 11_689_512 - 2 * 7 * 7 * 64,
    "samplecnn": 1_869_874,
    "short-chunk": 3_687_348,
    "short-chunk-res": 12_104_244,
    "vgg-pons": 605_748,
    "vgg16": 138_357_544 + 2 * 4224 - 2 * 3 * 3 * 64,
}


def options(cls, table, command):
    """Return the options of one kind that a table of a recipe gives, checked."""
    table = {key: value for key, value in table.items() if key not in ("out", "store")}
    given = stage_arguments(table, command, where="recipe")
    return build(cls, {key: given[key] for key in {o.name for o in options_of(cls)} & {*given}})


def features_of(recipe):
    table = {**table_of(recipe, "extract")}
    for word, name in (("feature", "features"), ("augment", "augmentations")):
        if word in table:
            table[name] = table.pop(word)
    return options(Extraction, table, mcls.extract)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_can_be_planned(name):
    recipe = read_recipe(PIPELINES / f"{name}.toml")
    asked = features_of(recipe)
    parse_augmentations(asked.augmentations)
    specs = parse_features(asked.features, asked.settings)
    made = Extractor(specs, sr=asked.sr, excerpt=parse_excerpt(asked.excerpt)).features(asked.sr)
    nodes_of(recipe)
    for table in tables_of(recipe, "learn-dict"):
        method = find("dictionaries", table.get("method", "kmeans"))
        resolve(method, dict(parse_pairs(table.get("param", []))))
    for table in tables_of(recipe, "train"):
        for pool in table.get("pool", []):
            parse_pool(pool)
        model = options(Model, table, mcls.train)
        options(Split, table, mcls.train)
        entry = find_in(("classifiers", "nets"), model.model)
        settings = resolve(entry, dict(parse_pairs(model.settings)))
        if entry.family == "classifiers":
            continue
        training = options(Training, table, mcls.train).for_labels(multi_label=False)
        plain = not ({"dict", "pool", "init", "store"} & {*table})
        if plain and len(made) == 1 and training.frames is not None:
            [feature] = made.values()
            assert describe_net(model.model, settings, training.frames, feature.n_dims, 10)


@pytest.mark.parametrize("name", FULL)
def test_full_recipes_have_the_published_size(name):
    recipe = read_recipe(PIPELINES / f"{name}-full.toml")
    table = table_of(recipe, "train")
    asked = features_of(recipe)
    [feature] = (
        Extractor(parse_features(asked.features, asked.settings), sr=asked.sr)
        .features(asked.sr)
        .values()
    )
    assert table["model"] == name
    facts = find("nets", name).facts
    assert table["frames"] == facts["frames"]
    assert feature.n_dims == facts["dims"]
    assert facts.get("sr", asked.sr) == asked.sr
    if "hop" in facts:
        assert feature.frame_rate == pytest.approx(asked.sr / facts["hop"])
    settings = resolve(find("nets", name), dict(parse_pairs(table["param"])))
    layers = describe_net(name, settings, table["frames"], feature.n_dims, facts["labels"])
    assert sum(layer.n_parameters for layer in layers) == FULL[name]


def test_results_never_carry_the_bare_name_of_a_narrowed_net():
    narrow = set()
    for name in NAMES:
        tables = tables_of(read_recipe(PIPELINES / f"{name}.toml"), "train")
        widths = [p for p in tables[0].get("param", []) if p.startswith("width=")]
        if len(tables) == 1 and widths and float(widths[0].partition("=")[2]) != 1:
            narrow.add(name)
    assert {"fcn4", "cnn1d"} <= narrow
    pages = [*(PIPELINES.parent / "docs" / "results").glob("*.md"), PIPELINES.parent / "README.md"]
    for page in pages:
        for line in page.read_text(encoding="utf-8").splitlines():
            assert not any(line.startswith(f"| `{name}` |") for name in narrow), (page, line)
