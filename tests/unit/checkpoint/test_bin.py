"""PyTorch's .bin files: old and new ones are read, and none is ever run."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distil.checkpoints import open_checkpoint
from distil.errors import CheckpointError, UnsafeCheckpointError
from support.checkpoints import assert_same_bits, load, save, tiny_config

FILE = "pytorch_model.bin"


def read_all(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    with open_checkpoint(folder) as checkpoint:
        return {name: tensor.read() for name, tensor in checkpoint.tensors.items()}


class Gadget:
    """Unpickled, it would make a file."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def gadgets(proof: str) -> dict[str, Any]:
    return {
        "os.system": Gadget(os.system, f"touch {proof}"),
        "exec": Gadget(exec, f"open({proof!r}, 'w')"),
        "eval": Gadget(eval, f"open({proof!r}, 'w')"),
        "open": Gadget(open, proof, "w"),
        "subprocess": Gadget(subprocess.call, ["touch", proof]),
        "import": Gadget(__import__, "this"),
        "nested": {"a": [({"b": Gadget(open, proof, "w")},)]},
        "getattr": Gadget(getattr, os, "system"),
    }


@pytest.mark.pt
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("gadget", gadgets(""))
def test_gadgets_are_not_run(tmp_path: Path, gadget: str, form: str) -> None:
    import torch

    proof = tmp_path / "proof"
    content = {"weight": torch.zeros(2), "evil": gadgets(str(proof))[gadget]}
    try:
        if form == "pickle":
            (tmp_path / FILE).write_bytes(pickle.dumps(gadgets(str(proof))[gadget]))
        else:
            zipped = form == "zip"
            torch.save(content, tmp_path / FILE, _use_new_zipfile_serialization=zipped)
    except TypeError:
        assert gadget == "getattr"  # a module cannot be pickled in the first place
        return
    with pytest.raises(UnsafeCheckpointError) as raised:
        read_all(tmp_path)
    assert str(tmp_path / FILE) in str(raised.value)
    assert not proof.exists()


@pytest.mark.pt
@pytest.mark.parametrize("zipped", [True, False])
def test_legacy_form(tmp_path: Path, zipped: bool) -> None:
    import torch

    config = tiny_config()
    saved = save(tmp_path, config, format="bin")
    state = torch.load(tmp_path / FILE, weights_only=True)
    state["distilbert.embeddings.position_ids"] = torch.arange(13)[None]
    torch.save(state, tmp_path / FILE, _use_new_zipfile_serialization=zipped)
    found, match = load(tmp_path, config)
    match.report.check(name="legacy")
    assert_same_bits(found, saved)


@pytest.mark.pt
def test_parameters_shared_and_turned_tensors(tmp_path: Path) -> None:
    import torch

    whole = torch.arange(12.0).reshape(3, 4)
    state = {
        "parameter": torch.nn.Parameter(whole.clone()), "whole": whole, "row": whole[1],
        "turned": whole.T, "empty": torch.zeros(0, 3), "number": torch.tensor(3),
        "half": whole.bfloat16().T,
    }  # fmt: skip
    torch.save(state, tmp_path / FILE)
    found = read_all(tmp_path)
    for name, tensor in state.items():
        np.testing.assert_array_equal(
            found[name].astype(np.float64), tensor.detach().double().numpy()
        )
    assert found["parameter"].flags.writeable


@pytest.mark.pt
def test_what_is_no_state_dict(tmp_path: Path) -> None:
    import torch

    big = 1 << 20
    for content in (
        [torch.zeros(2)],
        torch.zeros(2),
        {"model": {"weight": torch.zeros(2)}},
        {"weight": torch.zeros(2), "epoch": 3},
        {3: torch.zeros(2)},
        {"a": torch.zeros(1).expand(big, big)},
        {"a": torch.zeros(1).expand(2, 1)},
        {"a": torch.eye(2).to_sparse()},
        {"a": torch.zeros(2).to(torch.float8_e4m3fn)},
        {"a": torch.zeros(2, device="meta")},
    ):
        torch.save(content, tmp_path / FILE)
        with pytest.raises(CheckpointError):
            read_all(tmp_path)


@pytest.mark.pt
def test_archives_that_unpack_to_more(tmp_path: Path) -> None:
    import torch

    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1000, 1000)}, buffer)
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA):
        with (
            zipfile.ZipFile(buffer) as source,
            zipfile.ZipFile(tmp_path / FILE, "w", compression) as target,
        ):
            for entry in source.namelist():
                target.writestr(entry, source.read(entry))
        with pytest.raises(UnsafeCheckpointError, match="archive is compressed"):
            read_all(tmp_path)


@pytest.mark.pt
@pytest.mark.parametrize("zipped", [True, False])
def test_truncation_and_flips(tmp_path: Path, zipped: bool) -> None:
    import torch

    state = {"a.weight": torch.ones(5, 3), "a.bias": torch.ones(3)}
    torch.save(state, tmp_path / FILE, _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / FILE).read_bytes()
    generator = np.random.default_rng(0)
    damaged = [whole[:cut] for cut in generator.integers(0, len(whole), 60)]
    for place, bit in zip(generator.integers(0, len(whole), 200), generator.integers(0, 8, 200)):  # noqa: B905
        content = bytearray(whole)
        content[place] ^= 1 << bit
        damaged.append(bytes(content))
    for content in damaged:
        (tmp_path / FILE).write_bytes(content)
        try:
            found = read_all(tmp_path)
        except CheckpointError:
            continue
        assert all(isinstance(array, np.ndarray) for array in found.values())
    for content in (b"", b"P", b"PK\x03\x04", b"\x80\x02.", b"\x80\x02}q\x00."):
        (tmp_path / FILE).write_bytes(content)
        with pytest.raises(CheckpointError):
            read_all(tmp_path)


def test_without_torch(tmp_path: Path) -> None:
    """The file's absence of a reader is said as such, with the cure."""
    (tmp_path / FILE).write_bytes(b"\x80\x02}q\x00.")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; from distil.checkpoints import open_checkpoint\n"
        "from distil.errors import FrameworkError\n"
        "try: open_checkpoint(Path(sys.argv[1]))\n"
        "except FrameworkError as error: assert 'distil[pt]' in str(error), error\n"
        "else: raise SystemExit('no error')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_without_torch_another_format_is_preferred(tmp_path: Path) -> None:
    save(tmp_path, tiny_config(), format="h5")
    (tmp_path / FILE).write_bytes(b"")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path; from distil.checkpoints import open_checkpoint\n"
        "assert open_checkpoint(Path(sys.argv[1])).format == 'h5'"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_old_torch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from distil.errors import FrameworkError

    (tmp_path / FILE).write_bytes(b"\x80\x02}q\x00.")
    old = SimpleNamespace(__version__="2.5.1+cpu", __spec__=object())
    monkeypatch.setitem(sys.modules, "torch", old)
    with pytest.raises(FrameworkError, match=r"2\.5\.1"):
        open_checkpoint(tmp_path)
