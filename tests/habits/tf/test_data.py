"""What data `fit` is given: a tokenizer's output, data sets."""

import numpy as np
import pytest
import tensorflow as tf

from distil.errors import InputError
from support.folders import make_tokenizer
from support.models import build, config_for

pytestmark = pytest.mark.tf
TEXTS = ["it is a film", "good", "it is bad", "paris"]


def compiled(task="sequence-classification"):
    model = build("tf", config_for(task), task, dtype="float32")
    model.compile("sgd")
    return model


def test_the_output_of_a_tokenizer():
    tokenizer = make_tokenizer()
    batch = tokenizer(TEXTS, padding=True, return_tensors="np")
    y = np.array([0, 1, 2, 0])
    one, other = compiled(), compiled()
    assert one.evaluate(batch, y, verbose=0) == other.evaluate(dict(batch), y, verbose=0)
    one.fit(batch, y, verbose=0, batch_size=2)
    assert one.predict(batch, verbose=0)["logits"].shape == (4, 3)
    in_tensors = tokenizer(TEXTS, padding=True, return_tensors="tf")
    assert one.predict(in_tensors, verbose=0)["logits"].shape == (4, 3)


class TestPrepared:
    @pytest.fixture
    def datasets(self):
        return pytest.importorskip("datasets")

    def rows(self, datasets, **columns):
        encoded = make_tokenizer()(TEXTS)
        return datasets.Dataset.from_dict({"text": TEXTS, **encoded, **columns})

    def test_filled_up(self, datasets):
        rows = self.rows(datasets, label=[0, 1, 2, 0])
        model = compiled()
        data = model.prepare_tf_dataset(
            rows, batch_size=3, shuffle=False, tokenizer=make_tokenizer()
        )
        (first, labels), (last, _) = list(data)
        assert sorted(first) == ["attention_mask", "input_ids"]
        assert first["input_ids"].shape == (3, 6)
        assert last["input_ids"].shape == (1, 3)
        assert labels.numpy().tolist() == [0, 1, 2]
        expected = model(**make_tokenizer()(TEXTS[:3], padding=True, return_tensors="tf"),
                         labels=labels).loss  # fmt: skip
        assert model.evaluate(data.take(1), verbose=0) == pytest.approx(float(expected), rel=1e-5)
        model.fit(data, shuffle=False, verbose=0)

    def test_answers(self, datasets):
        rows = self.rows(datasets, start_positions=[1, 1, 0, 1], end_positions=[2, 1, 1, 1])
        model = compiled("question-answering")
        data = model.prepare_tf_dataset(rows, batch_size=4, shuffle=False,
                                        tokenizer=make_tokenizer())  # fmt: skip
        ((inputs, answers),) = list(data)
        expected = model(inputs, **answers).loss
        assert model.evaluate(data, verbose=0) == pytest.approx(float(expected), rel=1e-5)

    def test_options(self, datasets):
        model = compiled()
        rows = datasets.Dataset.from_dict({"input_ids": [[5, 6], [7, 8], [9, 1]]})
        assert len(list(model.prepare_tf_dataset(rows, batch_size=2))) == 1  # shuffled, so cut
        whole = model.prepare_tf_dataset(rows, batch_size=2, drop_remainder=False)
        assert len(list(whole)) == 2
        doubled = model.prepare_tf_dataset(
            rows, batch_size=3, shuffle=False,
            collate_fn=lambda rows, factor: {"input_ids": np.array(
                [row["input_ids"] for row in rows]) * factor},
            collate_fn_args={"factor": 2},
        )  # fmt: skip
        (ids,) = list(doubled)
        assert tf.reshape(ids if tf.is_tensor(ids) else ids["input_ids"], [-1])[0] == 10

    def test_what_is_no_data_set(self):
        with pytest.raises(InputError, match="Dataset"):
            compiled().prepare_tf_dataset([{"input_ids": [5, 6]}])
