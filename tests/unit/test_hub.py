from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distil.checkpoints import open_checkpoint
from distil.errors import (
    CheckpointNotFoundError,
    CheckpointWarning,
    HubError,
    UnsafeCheckpointError,
)
from distil.storage import hub, hub_limits
from distil.storage.hub import HubOptions
from hub_server import ENDLESS, SILENT, SLOW, HubServer, running_hub
from support.checkpoints import save, tiny_config

NAME = "someone/tiny"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with running_hub(monkeypatch) as running:
        yield running


def snapshot(
    name: str | Path, *, files: list[str] | None = None, variant: str | None = None, **options: Any
) -> Path:
    return hub.snapshot(name, HubOptions(**options), files=files, variant=variant)


@pytest.fixture
def cache(tmp_path: Path) -> dict[str, Any]:
    return {"cache_dir": tmp_path / "cache"}


def files_of(folder: Path, **options: Any) -> dict[str, bytes]:
    config = tiny_config()
    save(folder, config, **options)
    config.save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    return files_of(tmp_path / "source") | {"vocab.txt": b"[PAD]\n", "README.md": b"#"}


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert snapshot(tmp_path) == tmp_path
    assert snapshot(str(tmp_path)) == tmp_path


def test_folders_and_import_need_no_hub_library(tmp_path: Path) -> None:
    code = (
        "import sys; from distil.storage import hub; hub.snapshot(sys.argv[1])\n"
        "heavy = {'huggingface_hub', 'numpy', 'h5py', 'torch', 'tensorflow'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


@pytest.mark.parametrize(
    "name",
    ["./model", "../model", "/no/such/folder", "~/model", "a/b/c", "model/", "a\\b", "C:/model",
     "", "a/..", "x" * 100_000],
)  # fmt: skip
def test_a_path_never_goes_to_the_hub(name: str, server: HubServer, cache: dict[str, Any]) -> None:
    with pytest.raises(CheckpointNotFoundError):
        snapshot(name, **cache)
    assert server.requests == []


def test_a_path_object_never_goes_to_the_hub(server: HubServer) -> None:
    server.add(NAME, {"config.json": b"{}"})
    with pytest.raises(CheckpointNotFoundError):
        snapshot(Path(NAME))
    assert server.requests == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointNotFoundError):
        snapshot(str(tmp_path / "model.safetensors"))


@pytest.mark.parametrize("name", ["a--b", "-a", "a b", "x" * 97, "owner/na:me", "nul\0byte"])
def test_names_that_the_hub_cannot_have(
    name: str, server: HubServer, cache: dict[str, Any]
) -> None:
    with pytest.raises(HubError, match="neither a folder nor a name"):
        snapshot(name, **cache)
    assert server.requests == []


def test_download_and_cache(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes]
) -> None:
    commit = server.add(NAME, files)
    folder = snapshot(NAME, **cache)
    assert folder.name == commit
    assert {path.name for path in folder.iterdir()} == set(files) - {"README.md"}
    open_checkpoint(folder).close()
    assert sorted(server.downloads()) == ["config.json", "model.safetensors", "vocab.txt"]
    server.requests.clear()
    assert snapshot(NAME, **cache) == folder
    assert server.downloads() == []
    assert len(server.requests) == 2  # which files are there, and the commit of "main"


def test_only_the_preferred_format_is_downloaded(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes]
) -> None:
    server.add(NAME, files | {"tf_model.h5": b"unread", "pytorch_model.bin": b"unread"})
    snapshot(NAME, **cache)
    assert not {"tf_model.h5", "pytorch_model.bin"} & set(server.downloads())


def test_shards(server: HubServer, cache: dict[str, Any], tmp_path: Path) -> None:
    files = files_of(tmp_path / "source", max_shard_size=3000)
    server.add(NAME, files | {"pytorch_model.bin": b"unread"})
    folder = snapshot(NAME, **cache)
    assert {path.name for path in folder.iterdir()} == set(files)
    with open_checkpoint(folder) as checkpoint:
        assert len(checkpoint.files) > 2


def test_shards_that_are_missing_or_elsewhere(
    server: HubServer, cache: dict[str, Any], tmp_path: Path
) -> None:
    files = files_of(tmp_path / "source", max_shard_size=3000)
    server.add(NAME, {name: data for name, data in files.items() if "-00002-" not in name})
    with pytest.raises(HubError, match="lacks shards"):
        snapshot(NAME, **cache)
    index = json.dumps({"weight_map": {"a": "../../x.safetensors"}}).encode()
    server.add("someone/evil", {"config.json": b"{}", "model.safetensors.index.json": index})
    with pytest.raises(UnsafeCheckpointError):
        snapshot("someone/evil", **cache)


def test_variant(server: HubServer, cache: dict[str, Any], files: dict[str, bytes]) -> None:
    server.add(NAME, files | {"model.fp16.safetensors": files["model.safetensors"]})
    folder = snapshot(NAME, variant="fp16", **cache)
    assert "model.safetensors" not in server.downloads()
    open_checkpoint(folder, variant="fp16").close()


def test_named_files_only(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes]
) -> None:
    server.add(NAME, files)
    folder = snapshot(NAME, files=["config.json", "merges.txt"], **cache)
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    with pytest.raises(HubError, match="none of the files"):
        snapshot(NAME, files=["merges.txt"], **cache)


def test_revisions(server: HubServer, cache: dict[str, Any], files: dict[str, bytes]) -> None:
    first = server.add(NAME, files)
    second = server.add(NAME, files | {"vocab.txt": b"other\n"}, branch="v2")
    assert snapshot(NAME, **cache).name == first
    folder = snapshot(NAME, revision="v2", **cache)
    assert folder.name == second
    assert (folder / "vocab.txt").read_bytes() == b"other\n"
    assert snapshot(NAME, revision=first, **cache).name == first
    with pytest.raises(HubError, match="no such revision"):
        snapshot(NAME, revision="v3", **cache)


def test_unknown_repository(server: HubServer, cache: dict[str, Any]) -> None:
    with pytest.raises(HubError, match="no such repository"):
        snapshot("someone/nothing", **cache)


def test_private_repository(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes]
) -> None:
    server.add(NAME, files, token="hf_secret")
    with pytest.raises(HubError, match="private"):
        snapshot(NAME, token=False, **cache)
    snapshot(NAME, token="hf_secret", **cache)
    elsewhere = [request for request in server.requests if request.host.startswith("localhost")]
    assert elsewhere
    assert all(request.token is None for request in elsewhere)


def test_gated_repository(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes]
) -> None:
    server.add(NAME, files, token="hf_secret", gated=True)
    with pytest.raises(HubError, match="gated"):
        snapshot(NAME, token=False, **cache)
    snapshot(NAME, token="hf_secret", **cache)


def test_offline(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    server.add(NAME, files)
    with pytest.raises(HubError, match="may not be asked"):
        snapshot(NAME, local_files_only=True, **cache)
    folder = snapshot(NAME, **cache)
    server.requests.clear()
    assert snapshot(NAME, local_files_only=True, **cache) == folder
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert snapshot(NAME, **cache) == folder
    assert snapshot(NAME, files=["config.json"], **cache) == folder
    with pytest.raises(HubError, match="may not be asked"):
        snapshot(NAME, revision="v2", **cache)
    assert server.requests == []


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize("value", ["1", "ON", "YES", "TRUE", "on", "yes", "true", "True"])
def test_words_for_offline(
    server: HubServer, cache: dict[str, Any], monkeypatch: pytest.MonkeyPatch,
    variable: str, value: str,
) -> None:  # fmt: skip
    server.add(NAME, {"config.json": b"{}"})
    monkeypatch.setenv(variable, value)
    with pytest.raises(HubError, match="may not be asked"):
        snapshot(NAME, files=["config.json"], **cache)
    assert server.requests == []


@pytest.mark.parametrize("value", ["", "0", "OFF", "no", "false"])
def test_words_for_online(
    server: HubServer, cache: dict[str, Any], monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    server.add(NAME, {"config.json": b"{}"})
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", value)
    assert (snapshot(NAME, files=["config.json"], **cache) / "config.json").exists()


def test_a_cache_with_the_config_only_is_not_enough(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes]
) -> None:
    server.add(NAME, files)
    snapshot(NAME, files=["config.json"], **cache)
    with pytest.raises(HubError, match="does not have this checkpoint"):
        snapshot(NAME, local_files_only=True, **cache)


def test_unreachable_hub(server: HubServer, cache: dict[str, Any], files: dict[str, bytes]) -> None:
    server.add(NAME, files)
    folder = snapshot(NAME, **cache)
    server.failing = True
    assert snapshot(NAME, **cache) == folder
    server.stop()
    assert snapshot(NAME, **cache) == folder
    with pytest.raises(HubError, match="cannot be reached"):
        snapshot("someone/other", **cache)


def test_repository_without_weights(server: HubServer, cache: dict[str, Any]) -> None:
    server.add(NAME, {"config.json": b"{}", "model.onnx": b""})
    with pytest.raises(HubError, match="no weights that can be read"):
        snapshot(NAME, **cache)


def test_cache_that_cannot_be_written(
    server: HubServer, tmp_path: Path, files: dict[str, bytes]
) -> None:
    server.add(NAME, files)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HubError, match="cannot be stored"):
        snapshot(NAME, cache_dir=tmp_path / "file" / "cache")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sst2-small", True),
        ("someone/tiny", True),
        ("./no folder", True),
        ("~/no folder", True),
        ("C:\\no folder", True),
        ("/", True),
        ("", False),
        ("A fine film.", False),
        ("fine!", False),
        ("5/10 or 6/10", False),
        ("...", True),
        ("été", False),
        ("x" * 5000 + " ", False),
        ("\0", False),
    ],
)
def test_what_can_be_a_name(text: str, expected: bool) -> None:
    assert hub.can_be_name(text) is expected


def test_bundled_names_come_before_the_hub(server: HubServer) -> None:
    for name, folder in hub.bundled().items():
        assert snapshot(name) == folder
        assert os.path.basename(folder) == name  # noqa: PTH119
    assert server.requests == []


def test_split_options() -> None:
    options = {"revision": "v2", "token": None, "num_labels": 3}
    assert hub.split_options(options) == (
        HubOptions(revision="v2", token=None), {"num_labels": 3},
    )  # fmt: skip


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(HubOptions(token="hf_secret"))


@pytest.mark.parametrize("name", ["my-modle", "sst2-smal"])
def test_a_folder_that_is_not_there_is_said_before_the_network(
    server: HubServer, cache: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:  # fmt: skip
    (tmp_path / "my-model").mkdir()
    monkeypatch.chdir(tmp_path)
    meant = {"my-modle": "my-model", "sst2-smal": "sst2-small"}[name]
    for stop in (False, True):
        if stop:
            server.stop()
        for options in ({}, {"local_files_only": True}):
            with pytest.raises(HubError) as caught:
                snapshot(name, **options, **cache)
            said = f"there is no folder {name!r} (did you mean {meant!r}?)"
            assert str(caught.value).startswith(said)


def test_a_folder_does_not_hide_a_bundled_checkpoint_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / hub.DEFAULT
    own.mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.warns(CheckpointWarning, match="is a folder in .* and a bundled checkpoint"):
        assert snapshot(hub.DEFAULT) == Path(hub.DEFAULT)
    # A path says what is meant, as does the working directory of the bundled one itself.
    assert snapshot(f"./{hub.DEFAULT}") == Path(hub.DEFAULT)
    monkeypatch.chdir(hub.bundled()[hub.DEFAULT].parent)
    snapshot(hub.DEFAULT)


_NOT_VALID = "^the hub's answer is not valid: no "
LIES: dict[str, tuple[dict[str, str], str]] = {
    "an ETag that is a path": (
        {"ETag": '"/tmp/evil"', "X-Linked-Etag": '"/tmp/evil"'}, _NOT_VALID + "ETag"
    ),
    "an ETag that goes up": (
        {"ETag": '"../../evil"', "X-Linked-Etag": '"../../evil"'}, _NOT_VALID + "ETag"
    ),
    "a commit that is a path": ({"X-Repo-Commit": "../../evil"}, _NOT_VALID + "commit"),
    "a petabyte": ({"X-Linked-Size": str(10**15)}, r"^config\.json is too large"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_hub_that_lies_about_a_file(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes], tmp_path: Path, lie: str
) -> None:
    server.add(NAME, files)
    server.lies, words = LIES[lie]
    with pytest.raises(HubError, match=words):
        snapshot(NAME, **cache)
    assert not list(tmp_path.rglob("*evil*"))
    assert server.downloads() == []
    server.lies = {}
    assert (snapshot(NAME, **cache) / "config.json").exists()


def test_a_hub_that_lies_about_the_commit(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes], tmp_path: Path
) -> None:
    server.add(NAME, files)
    server.commit_of_answers = "../../evil"
    with pytest.raises(HubError, match="no commit"):
        snapshot(NAME, **cache)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    "path", [f"/api/models/{NAME}", "/config.json", "/model.safetensors", "/nothing"]
)
def test_bodies_that_do_not_end(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes], tmp_path: Path, path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A file may have what was announced, everything else so many bytes."""
    monkeypatch.setattr(hub_limits, "MOST_BYTES_OF_TEXT", 100_000)
    server.add(NAME, files)
    server.bodies = {path: ENDLESS}
    name = "someone/nothing" if path == "/nothing" else NAME
    with pytest.raises(HubError, match="response is too large"):
        snapshot(name, **cache)
    stored = [path.stat().st_size for path in tmp_path.rglob("cache/**/*") if path.is_file()]
    assert max(stored, default=0) <= max(map(len, files.values()))
    server.bodies = {}
    assert (snapshot(NAME, **cache) / "config.json").read_bytes() == files["config.json"]


@pytest.mark.parametrize("way", [SLOW, SILENT])
@pytest.mark.parametrize("path", [f"/api/models/{NAME}", "/config.json", "/model.safetensors"])
def test_bodies_that_do_not_come(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes], path: str, way: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """They count as those of a hub that cannot be reached: what the cache has is used."""
    server.add(NAME, files)
    snapshot(NAME, **cache)
    server.add(NAME, {name: data + b" " for name, data in files.items()})  # all of them anew
    server.bodies = {path: way}
    monkeypatch.setattr(hub_limits, "PATIENCE", 0.3)
    folder = snapshot(NAME, **cache)
    assert (folder / "vocab.txt").read_bytes() == files["vocab.txt"]
    with pytest.raises(HubError, match=r"cannot be reached[\s\S]*no data received for 0\.3 s"):
        snapshot(NAME, cache_dir=cache["cache_dir"] / "another")


def test_64_kilobytes_are_a_sign_of_life(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """In a large file that comes slowly, these keep the download alive; a byte does not."""
    now = [0.0]
    monkeypatch.setattr(hub_limits, "time", SimpleNamespace(monotonic=lambda: now[0]))
    watch = hub_limits.Watch("here", lambda _: None)
    now[0] = 100.0
    for size in (1, hub_limits.PIECE - 1):
        watch.read(size)
        assert watch.seconds_left() == hub_limits.PATIENCE - 100
    watch.read(hub_limits.PIECE)
    assert watch.seconds_left() == hub_limits.PATIENCE
    now[0] = 150.0
    watch.read(hub_limits.PIECE + 1)
    assert watch.seconds_left() == hub_limits.PATIENCE - 50
    watch.begin(SimpleNamespace(raw=None))
    now[0] = 200.0
    watch.read(hub_limits.PIECE)  # of another body
    assert watch.seconds_left() == hub_limits.PATIENCE
    # Bodies are read in pieces no larger, whatever huggingface_hub asks for.
    came = []
    signs = hub_limits.Watch.came
    monkeypatch.setattr(hub_limits.Watch, "came", lambda self: came.append(1) or signs(self))
    counts = []
    for pieces in (0, 10):
        size = pieces * hub_limits.PIECE
        server.add(NAME, files | {"vocab.txt": b"x" * size, "model.safetensors": b"y" * size})
        came.clear()
        snapshot(NAME, cache_dir=cache["cache_dir"] / str(pieces))
        counts.append(len(came))
    assert counts[1] - counts[0] >= 10  # of the two files, at least every other piece


def test_waiting_for_another_process_is_not_silence(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """One that downloads the same file, and may take long: workers begin at the same time."""
    from huggingface_hub import file_download

    now = [0.0]
    monkeypatch.setattr(hub_limits, "time", SimpleNamespace(monotonic=lambda: now[0]))
    left = []

    def look() -> None:
        watch = hub_limits._current()
        assert watch is not None
        if not watch._given_up:  # as one of a test before may be
            left.append(watch.seconds_left())

    @contextmanager
    def lock(*_: Any, **__: Any) -> Iterator[None]:
        now[0] += 10 * hub_limits.PATIENCE
        look()
        yield

    download = file_download.http_get
    monkeypatch.setattr(file_download, "WeakFileLock", lock)
    monkeypatch.setattr(
        file_download, "http_get", lambda *given, **options: look() or download(*given, **options)
    )
    server.add(NAME, files)
    snapshot(NAME, **cache)
    assert len(left) >= 2 * len(files) - 2  # README.md is not downloaded
    assert set(left) == {hub_limits.PATIENCE}


def test_the_connection_of_a_finished_download_is_left_alone(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """It is back in huggingface_hub's pool, where another thread may have taken it."""
    server.add(NAME, files)
    monkeypatch.setattr(hub_limits.Watch, "give_up", None)
    assert (snapshot(NAME, **cache) / "config.json").exists()


def test_other_downloads_are_not_limited(
    server: HubServer, cache: dict[str, Any], files: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Those of huggingface_hub's own users, in the same process."""
    from huggingface_hub import HfApi, hf_hub_download

    server.add(NAME, files)
    snapshot(NAME, **cache)
    monkeypatch.setattr(hub_limits, "MOST_BYTES_OF_TEXT", 1)
    monkeypatch.setattr(hub_limits.Watch, "check_size", None)
    folder = cache["cache_dir"] / "another"
    path = hf_hub_download(NAME, "config.json", endpoint=server.url, cache_dir=folder)
    assert Path(path).read_bytes() == files["config.json"]
    assert HfApi(endpoint=server.url).model_info(NAME).siblings
