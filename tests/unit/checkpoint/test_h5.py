"""HDF5 files that reach for other files, declare what they do not hold, or are damaged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from distil.checkpoints import open_checkpoint
from distil.errors import CheckpointError, CheckpointWarning, UnsafeCheckpointError
from support.checkpoints import assert_same_bits, load, save, tiny_config

FILE = "tf_model.h5"
GROUP = "classifier/tf_distil_bert_for_sequence_classification/classifier"
KERNEL = f"{GROUP}/kernel:0"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save(tmp_path, tiny_config(), format="h5")
    return tmp_path


def read_all(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    with open_checkpoint(folder) as checkpoint:
        return {name: tensor.read() for name, tensor in checkpoint.tensors.items()}


def refuse(folder: Path, match: str, error: type[CheckpointError] = UnsafeCheckpointError) -> None:
    with pytest.raises(error, match=match) as raised:
        read_all(folder)
    assert str(folder / FILE) in str(raised.value)


def secret(folder: Path) -> Path:
    """Another HDF5 file, whose content must not come into a model."""
    with h5py.File(folder / "secret.h5", "w") as file:
        file["kernel:0"] = np.ones((8, 3), np.float32)
        file["group/kernel:0"] = np.ones((8, 3), np.float32)
        file["group/bias:0"] = np.ones(3, np.float32)
    (folder / "secret.raw").write_bytes(bytes(96))
    return folder / "secret.h5"


def test_links(model: Path) -> None:
    other = str(secret(model))
    for link in (
        h5py.ExternalLink(other, "kernel:0"),
        h5py.SoftLink(f"/{GROUP}/kernel:0"),
        h5py.SoftLink("/nowhere"),
    ):
        with h5py.File(model / FILE, "a") as file:
            del file[KERNEL]
            file[KERNEL] = link
        refuse(model, "outside itself")


def test_linked_groups(model: Path) -> None:
    other = str(secret(model))
    for place in (GROUP, "classifier"):
        save(model, tiny_config(), format="h5")
        with h5py.File(model / FILE, "a") as file:
            del file[place]
            file[place] = h5py.ExternalLink(other, "group")
        refuse(model, "outside itself")


def test_hard_link_to_another_weight(model: Path) -> None:
    with h5py.File(model / FILE, "a") as file:
        del file[KERNEL]
        file[KERNEL] = file["pre_classifier"][file["pre_classifier"].attrs["weight_names"][0]]
    refuse(model, "the same object")


def test_user_defined_link(model: Path) -> None:
    """A link of a class that this HDF5 does not know."""
    content = (model / FILE).read_bytes()
    with h5py.File(model / FILE, "a") as file:
        del file[KERNEL]
        file[KERNEL] = h5py.ExternalLink("x" * 8, "y" * 8)
    damaged = (model / FILE).read_bytes()
    assert damaged != content
    refuse(model, "outside itself")


def test_external_storage(model: Path) -> None:
    secret(model)
    with h5py.File(model / FILE, "a") as file:
        del file[KERNEL]
        file[GROUP].create_dataset(
            "kernel:0", (8, 3), np.float32, external=[(str(model / "secret.raw"), 0, 96)]
        )
    refuse(model, "plain array")


def test_virtual_dataset(model: Path) -> None:
    layout = h5py.VirtualLayout((8, 3), np.float32)
    layout[...] = h5py.VirtualSource(str(secret(model)), "kernel:0", (8, 3))
    with h5py.File(model / FILE, "a") as file:
        del file[KERNEL]
        file[GROUP].create_virtual_dataset("kernel:0", layout)
    refuse(model, "plain array")


def test_compression(model: Path) -> None:
    with h5py.File(model / FILE, "a") as file:
        del file[KERNEL]
        file[GROUP].create_dataset("kernel:0", data=np.zeros((8, 3)), compression="gzip")
    refuse(model, "plain array")


def test_shape_bombs(model: Path) -> None:
    for shape in ((1 << 20, 1 << 20), (1 << 16,), (1 << 40, 1 << 20)):
        with h5py.File(model / FILE, "a") as file:
            del file[KERNEL]
            # Nothing is written: HDF5 would make the values up when read.
            file[GROUP].create_dataset("kernel:0", shape, np.float32)
        refuse(model, "larger than the bytes stored|impossible", CheckpointError)


def test_transposed_kernel_is_not_reshaped(model: Path) -> None:
    with h5py.File(model / FILE, "a") as file:
        values = file[KERNEL][:].T
        del file[KERNEL]
        file[GROUP].create_dataset("kernel:0", data=np.ascontiguousarray(values))
    report = load(model, tiny_config())[1].report
    (finding,) = report.mismatched
    assert (finding.name, finding.expected, finding.found) == ("classifier.weight", (3, 8), (8, 3))
    with pytest.raises(CheckpointError, match="other shapes"):
        report.check(name="turned")


@pytest.mark.parametrize(
    "values",
    [np.zeros((8, 3), ">f4"), np.zeros((8, 3), "c8"), np.zeros((8, 3), "S4"),
     np.zeros((8, 3), [("a", "f4")]), np.zeros((8, 3), bool), np.zeros((8, 3), "V4")],
)  # fmt: skip
def test_types(model: Path, values: np.ndarray[Any, Any]) -> None:
    with h5py.File(model / FILE, "a") as file:
        del file[KERNEL]
        file[GROUP].create_dataset("kernel:0", data=values)
    refuse(model, "not supported", CheckpointError)


def test_text_of_variable_length(model: Path) -> None:
    with h5py.File(model / FILE, "a") as file:
        del file[KERNEL]
        file[GROUP].create_dataset("kernel:0", data=np.full((8, 3), "x", object))
    refuse(model, "not supported", CheckpointError)


def test_loops(model: Path) -> None:
    with h5py.File(model / FILE, "a") as file:
        file[f"{GROUP}/again"] = file["classifier"]
    refuse(model, "the same object")


def test_endless_depth(model: Path) -> None:
    with h5py.File(model / FILE, "a") as file:
        file.create_group("/".join("x" * 1000))
    refuse(model, "something other than weights", CheckpointError)


def test_what_is_no_dataset(model: Path) -> None:
    with h5py.File(model / FILE, "a") as file:
        file["classifier/type"] = np.dtype("f4")
    refuse(model, "something other than weights", CheckpointError)


def test_names_of_any_kind(model: Path) -> None:
    with h5py.File(model / FILE, "a") as file:
        for name in (b"x" * 60_000, "ü\n".encode(), b"..", b"a:0"):
            space = h5py.h5s.create_simple((1,))
            h5py.h5d.create(file.id, name, h5py.h5t.IEEE_F32LE, space).write(
                h5py.h5s.ALL, h5py.h5s.ALL, np.ones(1, np.float32)
            )
    _, match = load(model, tiny_config())
    with pytest.warns(CheckpointWarning) as caught:
        match.report.check(name="odd")
    assert len(str(caught[0].message)) < 2000


def test_numbers_under_names_that_come_to_the_same(model: Path) -> None:
    with h5py.File(model / FILE, "a") as file:
        for group in ("one", "two"):
            file[f"{group}/model/classifier/scale:0"] = np.float32(3)
    with pytest.warns(CheckpointWarning, match="scale"):
        load(model, tiny_config())[1].report.check(name="numbers")


def test_names_that_are_not_utf8(model: Path) -> None:
    with h5py.File(model / FILE, "a") as file:
        h5py.h5g.create(file.id, b"\xff\xfe")
    refuse(model, "not a valid HDF5 file", CheckpointError)


def test_empty_file(tmp_path: Path) -> None:
    h5py.File(tmp_path / FILE, "w").close()
    with pytest.raises(CheckpointError, match="no weights of the encoder"):
        load(tmp_path, tiny_config())[1].report.check(name="empty")


def test_a_shared_layer_is_written_twice(tmp_path: Path) -> None:
    """As by transformers' masked-LM heads, which have the embeddings within them."""
    config = tiny_config()
    saved = save(tmp_path, config, "masked-lm", format="h5")
    path = "tf_distil_bert_for_masked_lm/distilbert/embeddings/word_embeddings/weight:0"
    with h5py.File(tmp_path / FILE, "a") as file:
        file.copy(file[f"distilbert/{path}"], f"vocab_projector/{path}")
    found, match = load(tmp_path, config, "masked-lm")
    match.report.check(name="twice")
    assert_same_bits(found, saved)
    with h5py.File(tmp_path / FILE, "a") as file:
        file[f"vocab_projector/{path}"][3, 2] += 1
    refuse(tmp_path, "different values", CheckpointError)


def test_as_keras_writes_it(tmp_path: Path) -> None:
    """Other instances' names, groups without weights, weights in the model itself."""
    config = tiny_config()
    saved = save(tmp_path, config, format="h5")
    with h5py.File(tmp_path / FILE, "a") as file:
        group = file["classifier"]
        old, new = "tf_distil_bert_for_sequence_classification", "my_model_17"
        group.move(old, new)
        names = [name.replace(old.encode(), new.encode()) for name in group.attrs["weight_names"]]
        group.attrs["weight_names"] = np.array(names)
        file.create_group("dropout_19").attrs["weight_names"] = np.array([])
        file.attrs["layer_names"] = np.array([*file.attrs["layer_names"], b"dropout_19"])
    found, match = load(tmp_path, config)
    match.report.check(name="keras")
    assert_same_bits(found, saved)


def test_truncation(model: Path) -> None:
    whole = (model / FILE).read_bytes()
    with h5py.File(model / FILE) as file:
        offsets: set[int] = set()
        file.visititems(
            lambda _, item: (
                offsets.add(item.id.get_offset() or 0) if isinstance(item, h5py.Dataset) else None
            )
        )
    for cut in sorted({0, 1, 7, 8, 9, 47, 95, 96, len(whole) - 1} | offsets):
        (model / FILE).write_bytes(whole[:cut])
        with pytest.raises(CheckpointError):
            read_all(model)


FLIP = """
import json, sys, warnings
from pathlib import Path
import numpy as np
from distil.checkpoints import open_checkpoint
from distil.errors import CheckpointError
folder, seed, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
path = folder / "tf_model.h5"
whole = path.read_bytes()
import h5py
with h5py.File(path) as file:
    weights = []
    file.visititems(lambda _, item: weights.append((item.id.get_offset(), item.nbytes))
                    if isinstance(item, h5py.Dataset) else None)
mask = np.ones(len(whole), bool)
for start, size in weights:
    mask[start:start + size] = False
structure = np.flatnonzero(mask)  # damage to the values could not be noticed
generator = np.random.default_rng(seed)
refused = 0
for _ in range(rounds):
    content = bytearray(whole)
    for place in generator.choice(structure, generator.integers(1, 4)):
        content[place] = generator.choice([content[place] ^ (1 << generator.integers(8)), 0, 255])
    path.write_bytes(content)
    try:
        with open_checkpoint(folder) as checkpoint:
            for tensor in checkpoint.tensors.values():
                assert tensor.read().shape == tensor.shape
    except CheckpointError:
        refused += 1
print(json.dumps(refused))
"""


def test_damaged_structure(tmp_path: Path) -> None:
    """Much of what is damaged is never read: attributes, gaps, neighbours in a tree."""
    save(tmp_path, tiny_config(n_layers=1), format="h5")
    command = [sys.executable, "-c", FLIP, str(tmp_path), "0", "250"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) > 30


def test_read_only_folder_and_file(model: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Reading leaves no trace: neither locks nor other changes."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copy(model / FILE, copy / FILE)
    before = (copy / FILE).stat()
    (copy / FILE).chmod(0o444)
    read_all(copy)
    assert (copy / FILE).stat().st_mtime_ns == before.st_mtime_ns
    assert [path.name for path in copy.iterdir()] == [FILE]
