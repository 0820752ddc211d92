"""Files made to fill the memory: each is refused by name, and opening it takes less than 1 GB."""

import io
import json
import resource
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from mcls.chain.model_cache import fitted_model
from mcls.disk.chain import Step, extend
from mcls.disk.dictionary import write_dictionary
from mcls.stores.store import NewRows, StoreContents, write_store

GIB = 1 << 30
OPEN = {
    "store": "from mcls.stores.store import Store; Store(path)",
    "dictionary": "from mcls.disk.dictionary import read_dictionary; read_dictionary(path)",
    "recipe": "from mcls.disk.recipe import read_recipe; read_recipe(path)",
    "model": "from mcls.disk.model import read_model; read_model(Path(path))",
    "net": (
        "from types import SimpleNamespace; "
        "from mcls.chain.model_cache import fitted_model; "
        "fitted_model(SimpleNamespace(net_file=Path(path)))"
    ),
}


def refusal(kind, path, message):
    """Open a file in a process of its own: it is refused with a message, below 1 GB."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom mcls.errors import MclsError\n"
        "path = sys.argv[1]\n"
        f"try:\n    {OPEN[kind]}\nexcept MclsError as error:\n    print(error)\n"
        # ru_maxrss would count the process that runs the tests, from before the exec
        "peak = Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0]\n"
        "print(int(peak) * 1024)"
    )
    limits = (resource.RLIMIT_CPU, (60, 60))
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(*limits),
    )
    said, _, peak = done.stdout.strip().rpartition("\n")
    assert message in said, done.stdout + done.stderr
    assert path.name in said
    assert int(peak) < GIB


@pytest.fixture
def store(tmp_path):
    """A store without checksums, as a stranger makes it."""
    path = tmp_path / "s.h5"
    ids = ["one", "two", "three"]
    chain = (Step("feature", "mel", {"n_mels": 3}),)
    rows = [np.zeros((7, 3), np.float32)]
    write_store(
        path, StoreContents({"track_id": ids}), [NewRows("mel", chain, 43.0, 3, [2, 0, 5], rows)]
    )
    with h5py.File(path, "r+") as file:
        del file.attrs["checksums"]
    return path


@pytest.mark.parametrize("where", ["failed/reason", "features/mel/chain/0/learnt_from"])
def test_texts_that_share_their_bytes(store, where):
    """All of 20,000 texts are one of 1 MiB in the file: 20 GB if they were read."""
    with h5py.File(store, "r+") as file:
        if where in file:
            del file[where]
        texts = file.create_dataset(where, (20_000,), h5py.string_dtype())
        texts[0], texts[1:] = "x" * (1 << 20), "y"
        at = texts.id.get_offset()
    content = bytearray(store.read_bytes())
    content[at : at + 16 * 20_000] = content[at : at + 16] * 20_000
    store.write_bytes(content)
    refusal("store", store, f"/{where}: the values up to here declare more than")


def test_arrays_in_chunks_that_were_never_written(store):
    with h5py.File(store, "r+") as file:
        for i in range(3000):
            size = 1 << 18
            file["features/mel/chain/0"].create_dataset(f"a{i}", (size,), "f4", chunks=(size,))
    refusal("store", store, "is stored in chunks or compressed")


def test_arrays_that_were_never_written(store):
    with h5py.File(store, "r+") as file:
        file["tracks/more"] = np.zeros(1 << 20)
        for i in range(300):
            file["features/mel/chain/0"].create_dataset(f"a{i}", (1 << 19,), "f8")
    refusal("store", store, "bytes that are not in the file")


def test_an_array_under_many_names(store):
    with h5py.File(store, "r+") as file:
        step = file["features/mel/chain/0"]
        step["a"] = np.zeros(1 << 20)
        for i in range(1000):
            step[f"a{i}"] = step["a"]
    refusal("store", store, "is in the file under two names")


@pytest.mark.parametrize("n", [9, 33])
def test_concatenations_of_a_step_with_itself(tmp_path, n):
    chain = (Step("feature", "mel", {"n_mels": 3}),)
    for i in range(n):
        chain = (*chain, Step("concat", "concat", {}, (i, i)))
    chain = extend(chain, Step("dictionary", "kmeans", {}, arrays={"atoms": np.eye(3)}))
    write_dictionary(tmp_path / "d.h5", chain, {}, "key")
    refusal("dictionary", tmp_path / "d.h5", "step 9 of the chain concatenates 512 results")


def test_compressed_members_of_a_model(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.skops", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", json.dumps({"x": [0] * (1 << 20)}))
    refusal("model", tmp_path / "model.skops", "its members are compressed")


def test_members_of_a_model_that_share_their_bytes(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.npy", bytes(1 << 20))
        archive.writestr("schema.json", "{}")
        one = archive.infolist()[0]
        for i in range(2000):
            twin = zipfile.ZipInfo(f"{i}.npy")
            for name in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(twin, name, getattr(one, name))
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True
    (tmp_path / "model.skops").write_bytes(content.getvalue())
    refusal("model", tmp_path / "model.skops", "its members are larger than the file")


def test_an_array_of_a_model_that_is_named_often(tmp_path):
    array = io.BytesIO()
    np.save(array, np.zeros(1 << 17))
    node = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode"}
    nodes = [{**node, "type": "numpy", "file": "a.npy", "__id__": i} for i in range(5000)]
    schema = {"__class__": "list", "__module__": "builtins", "content": nodes}
    with zipfile.ZipFile(tmp_path / "model.skops", "w") as archive:
        archive.writestr("a.npy", array.getvalue())
        archive.writestr("schema.json", json.dumps(schema))
    refusal("model", tmp_path / "model.skops", "its arrays are larger than the file")


def write_net(path, **changed):
    """Write the file of a small MLP, with some settings changed."""
    import torch

    from mcls.disk.tensors import write_tensors
    from mcls.nets import build_net
    from mcls.registry import find
    from mcls.settings import resolve

    settings = dict(resolve(find("nets", "mlp"), {"layers": "4x4"}))
    net = build_net("mlp", settings, 2, 3, 2)
    tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
    tensors |= {"input.mean": torch.zeros(3), "input.scale": torch.ones(3)}
    about = {
        "format": 1,
        "net": "mlp",
        "settings": {**settings, **changed},
        "n_frames": 2,
        "n_dims": 3,
        "outputs": [0, 1],
        "always": [],
        "multi_label": False,
        "loss": "cross-entropy",
        "short": "loop",
        "learnt_from": ["a"],
        "joined": False,
    }
    write_tensors(path, tensors, about)


def test_a_net_of_100_000_layers(tmp_path):
    write_net(tmp_path / "net.safetensors", layers=[1] * 100_000)
    refusal("net", tmp_path / "net.safetensors", "more parameters than the 8 tensors of the file")
    write_net(tmp_path / "good.safetensors")
    fitted_model(SimpleNamespace(net_file=tmp_path / "good.safetensors"))


def test_50_000_dotted_keys_of_a_recipe(tmp_path):
    keys = "\n".join(f"a.b.c.d.e.f.g.h{i}.x = 1" for i in range(50_000))
    (tmp_path / "recipe.toml").write_text(f"[train]\n{keys}\n")
    refusal("recipe", tmp_path / "recipe.toml", "bytes; at most 262144 are expected")


@pytest.mark.parametrize("part", ["a", '"a"', "' '"])
def test_a_key_of_40_000_parts(tmp_path, part):
    """Each part is kept with all parts before it: 6 GB for 160 kB."""
    (tmp_path / "recipe.toml").write_text(f"[train]\n{' . '.join([part] * 40_000)} = 1\n")
    refusal("recipe", tmp_path / "recipe.toml", "has more than 16 parts")


def test_the_largest_recipes(tmp_path):
    """What is just small enough to be parsed: many tables, keys and lists."""
    texts = [
        "\n".join(f"[t{i}.a.b.c.d.e]" for i in range(14_000)),
        "\n".join(f"k{i}.{'.'.join('abcdefghijkl')} = 1" for i in range(8000)),
        f"a = [{'[],' * 87_000}]",
    ]
    for i, text in enumerate(texts):
        (tmp_path / f"{i}.toml").write_text(text[: 1 << 18])
        refusal("recipe", tmp_path / f"{i}.toml", "")


def test_metadata_of_100_000_layers(tmp_path):
    from safetensors.numpy import save_file

    for text in ("[" * 100_000 + "]" * 100_000, "[" + "[]," * 20_000_000 + "[]]"):
        save_file({"a": np.zeros(1)}, tmp_path / "net.safetensors", {"mcls": text})
        refusal("net", tmp_path / "net.safetensors", "its metadata ")
