"""Every file in configs/ is loaded, and is what it says it is."""

from pathlib import Path

import pytest

from distil.common.config import DistilBertConfig
from distil.common.spec import count_parameters
from distil.errors import ConfigError

MODELS = sorted((Path(__file__).parents[2] / "configs" / "models").glob("*.yaml"))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_architecture_has_the_parameters_that_its_first_line_says(path):
    config = DistilBertConfig.from_pretrained(path)
    first_line = path.read_text(encoding="utf-8").splitlines()[0]
    assert f"{count_parameters(config, 'base'):,} parameters" in first_line
    assert not config.extra


def test_there_are_the_four_architectures_of_the_documentation():
    assert [path.stem for path in MODELS] == [
        "base-cased", "base-multilingual-cased", "base-uncased", "tiny",
    ]  # fmt: skip


def test_a_key_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "broken.yaml").write_text("dim: 64\ndim: 128\n")
    with pytest.raises(ConfigError, match="twice"):
        DistilBertConfig.from_pretrained(tmp_path / "broken.yaml")
