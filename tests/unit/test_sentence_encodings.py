"""Folders of sentence-transformers: what they say of embeddings, read, kept and written."""

import json
from dataclasses import replace

import numpy as np
import pytest

import distil
from distil.checkpoints.beside import Beside
from distil.checkpoints.located import locate
from distil.checkpoints.sentence_files import read_encoding, write_encoding
from distil.common.sentences import POOLINGS, SentenceEncoding
from distil.errors import CheckpointError, ConfigError, InputError, UnsafeCheckpointError
from distil.pipelines import PIPELINES
from distil.storage.modules import FILE_NAME, encoder_folder
from support.folders import make_folder, make_tokenizer
from support.inference import FakeModel

TEXTS = ["it is a good film", "The BAD one", "who was born in paris? it was good"]
FULL = SentenceEncoding(
    pooling="mean_sqrt_len", normalize=False, max_length=7, lowercase=True,
    prompts={"query": "who is ", "document": ""}, prompt_name="query",
)  # fmt: skip


def change(folder, name, **values):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_modules(folder, **values):
    rows = json.loads((folder / FILE_NAME).read_text())
    rows[1] |= values
    (folder / FILE_NAME).write_text(json.dumps(rows))


class TestFiles:
    @pytest.mark.parametrize("encoding", [SentenceEncoding(), FULL])
    def test_there_and_back(self, encoding, tmp_path):
        files = write_encoding(tmp_path, encoding, dim=32)
        assert read_encoding(tmp_path) == encoding
        assert files[-1].name == FILE_NAME
        assert {file.relative_to(tmp_path).as_posix() for file in files} == {
            "modules.json", "1_Pooling/config.json", "sentence_bert_config.json",
            "config_sentence_transformers.json",
        }  # fmt: skip

    def test_other_folders_say_nothing(self, tmp_path):
        assert read_encoding(tmp_path) is None

    def test_what_the_oldest_and_the_newest_releases_write(self, tmp_path):
        write_encoding(tmp_path, SentenceEncoding(), dim=32)
        (tmp_path / "config_sentence_transformers.json").unlink()
        (tmp_path / "sentence_bert_config.json").unlink()
        pooling = tmp_path / "1_Pooling" / "config.json"
        pooling.write_text('{"word_embedding_dimension": 32}')
        assert read_encoding(tmp_path) == SentenceEncoding()
        pooling.write_text('{"pooling_mode": ["mean_sqrt_len_tokens"], "include_prompt": true}')
        newest = json.loads((tmp_path / FILE_NAME).read_text())
        for row in newest:
            kind = row["type"].rpartition(".")[2]
            row["type"] = f"sentence_transformers.sentence_transformer.modules.{kind}"
        (tmp_path / FILE_NAME).write_text(json.dumps(newest))
        assert read_encoding(tmp_path) == SentenceEncoding(pooling="mean_sqrt_len")

    @pytest.mark.parametrize(
        ("values", "found"),
        [
            ({"pooling_mode": "weightedmean"}, "weightedmean"),
            ({"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}, "lasttoken"),
            ({"pooling_mode_cls_token": True}, "cls_token and mean_tokens|mean_tokens and cls"),
            ({"pooling_mode": []}, "pooling"),
            ({"pooling_mode": ["mean", "max"]}, "mean and max"),
            ({"include_prompt": False}, "include_prompt"),
            ({"include_prompt": "no"}, "include_prompt"),
        ],
    )
    def test_poolings_that_are_refused(self, values, found, tmp_path):
        write_encoding(tmp_path, SentenceEncoding(), dim=32)
        change(tmp_path, "1_Pooling/config.json", **values)
        with pytest.raises(ConfigError, match=found):
            read_encoding(tmp_path)

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("sentence_bert_config.json", {"max_seq_length": "long"}),
            ("sentence_bert_config.json", {"max_seq_length": 0}),
            ("sentence_bert_config.json", {"do_lower_case": 1}),
            ("config_sentence_transformers.json", {"prompts": ["query: "]}),
            ("config_sentence_transformers.json", {"prompts": {"query": 1}}),
            ("config_sentence_transformers.json", {"default_prompt_name": "question"}),
            ("config_sentence_transformers.json", {"default_prompt_name": ["query"]}),
        ],
    )
    def test_values_that_are_refused(self, name, values, tmp_path):
        write_encoding(tmp_path, FULL, dim=32)
        change(tmp_path, name, **values)
        with pytest.raises(ConfigError, match=name):
            read_encoding(tmp_path)

    @pytest.mark.parametrize(
        ("kind", "found"),
        [
            ("sentence_transformers.models.Dense", "Dense"),
            ("somebody.Pooling", "somebody.Pooling"),
            ("sentence_transformers.models.Normalize", "Transformer, Normalize"),
        ],
    )
    def test_modules_that_are_refused(self, kind, found, tmp_path):
        write_encoding(tmp_path, SentenceEncoding(), dim=32)
        change_modules(tmp_path, type=kind)
        with pytest.raises(ConfigError, match=found):
            read_encoding(tmp_path)

    @pytest.mark.parametrize("path", ["../1_Pooling", "/etc", "a/b", "..", "a\\b"])
    def test_a_module_elsewhere(self, path, tmp_path):
        write_encoding(tmp_path, SentenceEncoding(), dim=32)
        change_modules(tmp_path, path=path)
        with pytest.raises(CheckpointError, match="outside"):
            read_encoding(tmp_path)

    @pytest.mark.parametrize(
        "text", ["{}", '[{"type": "Pooling"}]', "[1]", '[{"type":1,"path":2}]', '[], "more": []']
    )
    def test_modules_that_are_none(self, text, tmp_path):
        (tmp_path / FILE_NAME).write_text(text)
        with pytest.raises(CheckpointError, match="modules"):
            read_encoding(tmp_path)

    @pytest.mark.parametrize("name", [FILE_NAME, "1_Pooling/config.json"])
    def test_a_link_to_elsewhere(self, name, tmp_path):
        folder = tmp_path / "model"
        folder.mkdir()
        write_encoding(folder, SentenceEncoding(), dim=32)
        (folder / name).replace(tmp_path / "outside")
        (folder / name).symlink_to(tmp_path / "outside")
        with pytest.raises(UnsafeCheckpointError, match="leaves"):
            read_encoding(folder)

    def test_links_of_the_hubs_cache(self, tmp_path):
        folder = tmp_path / "snapshots" / "revision"
        folder.mkdir(parents=True)
        (tmp_path / "blobs").mkdir()
        for number, path in enumerate(write_encoding(folder, FULL, dim=32)):
            path.replace(tmp_path / "blobs" / str(number))
            path.symlink_to(tmp_path / "blobs" / str(number))
        assert read_encoding(folder) == FULL

    @pytest.mark.parametrize("options", [{"pooling": "last"}, {"prompt_name": "query"}])
    def test_an_encoding_that_there_is_not(self, options):
        with pytest.raises(InputError, match=next(iter(options))):
            SentenceEncoding(**options)


class TestSubfolders:
    def old(self, folder):
        """As sentence-transformers wrote until 2: the encoder lies in a folder of its own."""
        make_folder(folder / "0_Transformer", "base")
        write_encoding(folder, FULL, dim=32)
        (folder / "sentence_bert_config.json").replace(
            folder / "0_Transformer" / "sentence_bert_config.json"
        )
        rows = json.loads((folder / FILE_NAME).read_text())
        rows[0]["path"] = "0_Transformer"
        (folder / FILE_NAME).write_text(json.dumps(rows))
        (folder / "config.json").write_text('{"__version__": "0.2.0"}')
        return folder

    def test_the_encoder_is_found(self, tmp_path):
        folder = self.old(tmp_path)
        assert encoder_folder(folder) == folder / "0_Transformer"
        with locate(folder) as found:
            assert found.encoding == FULL
            assert found.match("base").report.missing == ()
        assert distil.load_tokenizer(folder).get_vocab()["film"] == 8

    def test_weights_in_the_folder_itself_are_the_newer_ones(self, tmp_path):
        folder = make_folder(self.old(tmp_path), "base")
        with locate(folder) as found:
            assert found.folder == folder

    def test_a_folder_above_that_is_another_model(self, tmp_path):
        make_folder(tmp_path, "base")
        write_encoding(tmp_path, FULL, dim=32)
        make_folder(tmp_path / "inner", "base")
        with locate(tmp_path / "inner") as found:
            assert found.encoding is None


class TestConversion:
    def test_the_encoding_goes_with_the_model(self, tmp_path):
        source = make_folder(tmp_path / "source", "base")
        write_encoding(source, FULL, dim=32)
        done = distil.convert(source, tmp_path / "there", dtype="float16")
        assert read_encoding(tmp_path / "there") == FULL
        assert done.not_copied == ()
        assert "1_Pooling/config.json" in [file.name for file in done.files]

    def test_what_another_model_left_is_taken_away(self, tmp_path):
        source = make_folder(tmp_path / "source", "base")
        target = tmp_path / "there"
        target.mkdir()
        write_encoding(target, FULL, dim=32)
        distil.convert(source, target, force=True)
        assert read_encoding(target) is None

    def test_a_bert_gets_distilberts_tokenizer(self, tmp_path):
        source = make_folder(tmp_path / "source", "base")
        config = source / "tokenizer_config.json"
        config.write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": false}')
        for model_type, expected in (("distilbert", "BertTokenizer"), ("bert", "DistilBert")):
            found = locate(source)
            beside = replace(Beside.of(found), of_bert=model_type == "bert")
            (tmp_path / model_type).mkdir()
            beside.copy(tmp_path / model_type, dim=32)
            table = json.loads((tmp_path / model_type / config.name).read_text())
            assert table["tokenizer_class"].startswith(expected)
            assert table["do_lower_case"] is False

    def test_what_is_not_supported_is_left_and_said(self, tmp_path):
        source = make_folder(tmp_path / "source", "base")
        write_encoding(source, FULL, dim=32)
        change_modules(source, type="sentence_transformers.models.Dense")
        done = distil.convert(source, tmp_path / "there")
        assert FILE_NAME in done.not_copied
        assert read_encoding(tmp_path / "there") is None
        distil.convert(source, source, force=True)
        assert (source / FILE_NAME).is_file()


def embed(**options):
    return PIPELINES["base"](FakeModel("base"), make_tokenizer(), **options)


class TestPooling:
    @pytest.mark.parametrize("pooling", POOLINGS)
    def test_against_the_hidden_states(self, pooling):
        pipe = embed(pooling=pooling, normalize=False)
        for text, vector in zip(TEXTS, pipe(TEXTS), strict=True):
            ids = np.array(pipe.tokenizer(text)["input_ids"], np.int32)
            (states,) = pipe.model.score([ids])
            states = states.astype(np.float64)
            expected = {
                "mean": states.mean(0), "cls": states[0], "max": states.max(0),
                "mean_sqrt_len": states.sum(0) / len(ids) ** 0.5,
            }[pooling]  # fmt: skip
            np.testing.assert_allclose(vector, expected, rtol=1e-6)

    def test_prompts(self):
        pipe = embed(prompts={"query": "who is "}, prompt_name="query")
        plain = embed()
        np.testing.assert_array_equal(pipe("good"), plain("who is good"))
        np.testing.assert_array_equal(pipe("good", prompt_name=None), plain("good"))
        np.testing.assert_array_equal(pipe("good", prompt="it is "), plain("it is good"))
        with pytest.raises(InputError, match="query"):
            pipe("good", prompt_name="document")

    def test_lower_case(self):
        tokenizer = make_tokenizer(do_lower_case=False)
        pipe = PIPELINES["base"](FakeModel("base"), tokenizer, lowercase=True)
        np.testing.assert_array_equal(pipe("A GOOD Film"), pipe("a good film"))
        assert not np.array_equal(pipe("A GOOD Film", lowercase=False), pipe("a good film"))


@pytest.mark.pt
class TestWhole:
    def test_a_folder_embeds_as_it_says(self, tmp_path):
        make_folder(tmp_path / "plain", "base")
        plain = distil.pipeline("sentence-embeddings", tmp_path / "plain", framework="pt")
        model = distil.load(tmp_path / "plain", framework="pt", task="base")
        tokenizer = distil.load_tokenizer(tmp_path / "plain")
        distil.save(model, tmp_path / "own", tokenizer=tokenizer, encoding=FULL)
        pipe = distil.pipeline("sentence-embeddings", tmp_path / "own", framework="pt")
        options = {"pooling": "mean_sqrt_len", "normalize": False, "max_length": 7}
        with pytest.warns(UserWarning, match="7 tokens"):
            found = pipe(TEXTS)
        expected = plain([f"who is {text.lower()}" for text in TEXTS], truncation=True, **options)
        np.testing.assert_array_equal(np.stack(found), np.stack(expected))
        chosen = {"pooling": "cls", "normalize": True, "max_length": None, "prompt": ""}
        mine = distil.pipeline("sentence-embeddings", tmp_path / "own", framework="pt", **chosen)
        np.testing.assert_array_equal(
            np.stack(mine(TEXTS)), np.stack(plain([x.lower() for x in TEXTS], pooling="cls"))
        )

    def test_features_are_of_the_text_alone(self, tmp_path):
        make_folder(tmp_path, "base")
        write_encoding(tmp_path, FULL, dim=32)
        states = distil.pipeline("feature-extraction", tmp_path, framework="pt")(TEXTS[0])
        assert len(states[0]) == len(distil.load_tokenizer(tmp_path)(TEXTS[0])["input_ids"])
