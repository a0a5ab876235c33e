"""The folder that `distil export --to web` writes, without a browser."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import distil
from distil import exporting
from distil.checkpoints.sentence_files import replace_encoding
from distil.common.sentences import SentenceEncoding
from distil.errors import CheckpointError, InputError
from distil.exporting import export
from distil.exporting.forms import FORMS
from support.folders import make_folder
from support.models import ALL_TASKS

PAGE = pytest.importorskip("distil.exporting.web").PAGE  # which imports onnx

pytestmark = pytest.mark.onnxruntime

SOURCES = Path(__file__).parents[2] / "web"


def exported(tmp_path, task, dtype="float32", to="web", **options):
    checkpoint = tmp_path / "checkpoint"
    if not checkpoint.exists():
        checkpoint.mkdir()
        make_folder(checkpoint, task)
    task = "sentence-embeddings" if task == "base" else task
    export(checkpoint, tmp_path / to, to, task=task, dtype=dtype, check=False, **options)
    return tmp_path / to


def run(site, ids, mask):
    [path] = (site / "onnx").iterdir()
    return FORMS["web"].module.open_runtime(path)(ids, mask)


@pytest.mark.parametrize("task", ALL_TASKS)
def test_the_page_s_graph_gives_what_the_plain_export_gives(tmp_path, task):
    site, plain = (exported(tmp_path, task, to=to) for to in ("web", "onnx"))
    shape = (2, 3, 12) if task == "multiple-choice" else (5, 12)
    ids = np.random.default_rng(0).integers(5, 60, shape)
    mask = (np.arange(12) < np.array([[12], [1], [7], [5], [3]])[: shape[-2]]).astype(np.int64)
    mask = np.broadcast_to(mask, shape).copy()
    found, expected = (run(folder, ids, mask) for folder in (site, plain))
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("task", ALL_TASKS)
def test_what_the_page_asks_of_a_browser_is_what_onnx_runtime_gives_here(tmp_path, task, dtype):
    site = exported(tmp_path, task, dtype)
    page = json.loads((site / "page.json").read_text())
    ids = np.array(page["check"]["ids"])
    ids = ids[None] if task == "multiple-choice" else ids
    found = run(site, ids, np.ones_like(ids))
    for name, numbers in zip(page["outputs"], page["check"]["outputs"], strict=True):
        np.testing.assert_allclose(found[name].ravel()[: len(numbers)], numbers, rtol=1e-6)
    largest = max(abs(number) for numbers in page["check"]["outputs"] for number in numbers)
    assert 0 < page["check"]["tolerance"] < 0.1 * largest


def test_the_folder_holds_all_that_the_page_asks_for(tmp_path):
    site = exported(tmp_path, "sequence-classification")
    page = json.loads((site / "page.json").read_text())
    asked = [
        page["model"],
        *page["files"],
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    asked += [one[name] for one in page["runtimes"].values() for name in ("module", "binary")]
    assert [path for path in asked if not (site / path).exists()] == []
    assert page["bytes"] == (site / page["model"]).stat().st_size
    for one in page["runtimes"].values():
        assert one["bytes"] == (site / one["binary"]).stat().st_size


def test_a_version_is_that_of_what_the_folder_holds(tmp_path):
    def version(name, **options):
        folder = tmp_path / name
        folder.mkdir()
        site = exported(folder, "sequence-classification", **options)
        return json.loads((site / "page.json").read_text())["version"]

    assert version("one") == version("same") != version("other", dtype="float16")


def test_the_tokenizer_is_written_anew_and_its_settings_with_it(tmp_path):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    make_folder(checkpoint, "sequence-classification")
    distil.load_tokenizer(checkpoint).save_pretrained(checkpoint)
    # What wins over tokenizer.json in Python has to in the browser, which reads only that.
    settings = json.loads((checkpoint / "tokenizer_config.json").read_text())
    (checkpoint / "tokenizer_config.json").write_text(
        json.dumps({**settings, "do_lower_case": False})
    )
    site = exported(tmp_path, "sequence-classification")
    assert json.loads((site / "tokenizer.json").read_text())["normalizer"]["lowercase"] is False


def test_how_sentences_are_read_is_said(tmp_path):
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    make_folder(checkpoint, "base")
    encoding = SentenceEncoding(
        max_length=17, lowercase=True, prompts={"query": "the film "}, prompt_name="query"
    )
    dim = distil.DistilBertConfig.from_pretrained(checkpoint).dim
    replace_encoding(checkpoint, encoding, dim=dim)
    page = json.loads((exported(tmp_path, "base") / "page.json").read_text())
    assert page["reading"] == {"prompt": "the film ", "lowercase": True, "max_length": 17}


def test_an_encoder_alone_has_no_page(tmp_path):
    make_folder(tmp_path, "base")
    with pytest.raises(InputError, match="a page cannot show hidden states"):
        export(tmp_path, tmp_path / "site", "web", task="base", check=False)
    assert not (tmp_path / "site").exists()


def test_a_model_without_a_tokenizer_has_no_page(tmp_path):
    make_folder(tmp_path, "sequence-classification")
    (tmp_path / "vocab.txt").unlink()
    with pytest.raises(CheckpointError, match="a page needs the model's tokenizer"):
        export(tmp_path, tmp_path / "site", "web", check=False)


def test_a_folder_holds_one_page(tmp_path):
    site = exported(tmp_path, "sequence-classification")
    before = (site / "page.json").read_bytes()
    with pytest.raises(CheckpointError, match="holds something else"):
        exported(tmp_path, "sequence-classification", "int8")
    assert (site / "page.json").read_bytes() == before


def test_the_built_page_is_that_of_its_sources():
    build = json.loads((PAGE / "build.json").read_text())
    sources = SOURCES / "src"
    found = {
        path.relative_to(sources).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sources.rglob("*")
        if path.is_file()
    }
    assert build["sources"] == found, "build it again: cd web && npm ci && npm run build"
    lock = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    assert build["versions"] == {
        name: lock[f"node_modules/{name}"]["version"] for name in build["versions"]
    }
    package = json.loads((SOURCES / "package.json").read_text())
    pinned = {**package["dependencies"], **package["devDependencies"]}
    assert build["versions"].items() <= pinned.items()
    assert exporting.FORMS["web"].alone
