"""Outputs read as objects, as tuples and as mappings, like those of transformers."""

import copy
import pickle
from dataclasses import fields

import pytest

from distil.common.outputs import OUTPUTS, EncoderOutput, HeadOutput, QuestionAnsweringOutput

FIELDS = {
    EncoderOutput: ["last_hidden_state", "hidden_states", "attentions"],
    HeadOutput: ["loss", "logits", "hidden_states", "attentions"],
    QuestionAnsweringOutput: ["loss", "start_logits", "end_logits", "hidden_states", "attentions"],
}


@pytest.mark.parametrize("cls", OUTPUTS)
def test_fields_and_their_order(cls):
    assert [item.name for item in fields(cls)] == FIELDS[cls]
    assert cls().to_tuple() == ()


OUTPUT = HeadOutput(loss=None, logits="logits", attentions=("one", "two"))


def test_as_an_object():
    assert OUTPUT.logits == "logits"
    assert OUTPUT.loss is None


def test_as_a_tuple():
    assert OUTPUT.to_tuple() == ("logits", ("one", "two"))
    assert OUTPUT[0] == "logits"
    assert OUTPUT[-1] == ("one", "two")
    assert OUTPUT[:1] == ("logits",)
    assert len(OUTPUT) == 2
    with pytest.raises(IndexError):
        OUTPUT[2]


def test_as_a_mapping():
    assert dict(OUTPUT) == {"logits": "logits", "attentions": ("one", "two")}
    assert isinstance(OUTPUT, dict)
    assert list(OUTPUT) == list(OUTPUT.keys()) == ["logits", "attentions"]
    assert list(OUTPUT.values()) == ["logits", ("one", "two")]
    assert list(OUTPUT.items()) == [("logits", "logits"), ("attentions", ("one", "two"))]
    assert dict(OUTPUT) == {**OUTPUT}
    assert OUTPUT["logits"] == "logits"
    assert "loss" not in OUTPUT
    assert OUTPUT.get("loss", 7) == 7
    with pytest.raises(KeyError):
        OUTPUT["loss"]


def test_a_loss_of_0_is_there():
    """What counts is None, not truth."""
    output = HeadOutput(loss=0.0, logits=1.0)
    assert output.to_tuple() == (0.0, 1.0)


def test_items_and_attributes_are_one():
    output = HeadOutput(logits=1)
    output["loss"] = 2
    assert output.loss == 2
    output.logits = 3
    assert output["logits"] == 3
    output["note"] = 4
    assert output.note == 4
    assert dict(output) == {"logits": 3, "loss": 2, "note": 4}


def test_made_of_what_it_gives():
    """As accelerate and DataParallel make one of the same type."""
    for made in (dict(OUTPUT), ((name, value) for name, value in OUTPUT.items())):
        again = HeadOutput(made)
        assert dict(again) == dict(OUTPUT)
        assert (again.loss, again.logits) == (None, "logits")
    assert dict(HeadOutput({})) == {}


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))]
)
def test_copies(copied):
    again = copied(OUTPUT)
    assert type(again) is HeadOutput
    assert dict(again) == dict(OUTPUT)
    assert (again.loss, again.attentions) == (None, ("one", "two"))
