"""KerasTuner searches over models of this library, as its pages show."""

import keras
import numpy as np
import pytest

from distil.tf import TFDistilBertForSequenceClassification
from support.models import batch_for, build, config_for

pytestmark = [
    pytest.mark.tf,
    # Of KerasTuner, and that it takes the weights of the best model without the optimizer's.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:keras_tuner"),
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer"),
]
TASK = "sequence-classification"


def test_a_search_over_rates_and_sizes(tmp_path):
    keras_tuner = pytest.importorskip("keras_tuner")
    config = config_for(TASK)
    config.save_pretrained(tmp_path)
    start = build("tf", config, TASK, dtype="float32")
    start.save_pretrained(tmp_path / "start")

    def make(tried):
        model = TFDistilBertForSequenceClassification.from_pretrained(
            tmp_path / "start", seq_classif_dropout=tried.Choice("dropout", [0.0, 0.1])
        )
        rate = tried.Float("rate", 1e-4, 1e-2, sampling="log")
        model.compile(
            keras.optimizers.AdamW(rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            run_eagerly=True,  # three small models are not worth compiling
        )
        return model

    tuner = keras_tuner.RandomSearch(
        make, objective="val_accuracy", max_trials=2, seed=1, directory=tmp_path / "search",
    )  # fmt: skip
    x = batch_for(config, TASK, labels=False, rows=4)
    y = np.arange(4) % config.num_labels
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0)
    assert len(tuner.oracle.trials) == 2
    (best,) = tuner.get_best_models(1)
    (settings,) = tuner.get_best_hyperparameters(1)
    assert best.config.seq_classif_dropout == settings.get("dropout")
    best.fit(x, y, verbose=0)  # it comes back compiled
    best.save_pretrained(tmp_path / "best")
