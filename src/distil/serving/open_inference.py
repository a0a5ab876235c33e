"""Open Inference Protocol v2 (KServe, Triton): a tensor of strings in, labels or vectors out.

Strings may come in binary after the JSON, as Triton's clients send them.  Responses are plain
JSON, which every client of the protocol accepts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from distil.errors import InputError
from distil.serving.protocols import Call, check_known, plain, wrong

PATH = "/v2/models/{model}/infer"
FIELDS = {
    "inputs": ({"type": "array", "items": {"type": "object"}}, True),
    "id": ({"type": "string"}, False),
    "outputs": ({"type": "array", "items": {"type": "object"}}, False),
    "parameters": ({"type": "object"}, False),
}

# How many bytes of the body are JSON, if binary data follows.
LENGTH = "inference-header-content-length"

# The output tensors of a task: names, types and shapes.
_OUTPUTS: Mapping[str, Sequence[tuple[str, str, list[int]]]] = {
    "base": [("embedding", "FP32", [-1, -1])],
    "sequence-classification": [("label", "BYTES", [-1]), ("score", "FP32", [-1])],
}
TASKS = tuple(_OUTPUTS)


def metadata(name: str, task: str) -> dict[str, Any]:
    """The metadata of a model: its input and output tensors."""
    inputs = [("text", "BYTES", [-1])]
    return {
        "name": name, "versions": [], "platform": "distil",
        **{
            kind: [dict(zip(("name", "datatype", "shape"), one, strict=True)) for one in tensors]
            for kind, tensors in (("inputs", inputs), ("outputs", _OUTPUTS.get(task, ())))
        },
    }  # fmt: skip


def split(content: bytes, length: str | None) -> tuple[bytes, bytes]:
    """A body split into its JSON and the binary tensors after it.

    Raises:
        InputError: The body is shorter than its header says.
    """
    if length is None:
        return content, b""
    if not (length.isascii() and length.isdigit() and len(length) < 12):
        raise InputError(f"{LENGTH} is not a number", found=length)
    size = int(length)
    if size > len(content):
        raise InputError("the body is too short", expected=f"{size} bytes", found=len(content))
    return content[:size], content[size:]


def infer(body: Mapping[str, Any], rest: bytes, model: str, task: str) -> Call:
    """Read an inference request.

    Args:
        body: The JSON.
        rest: The binary tensor, if there is one.
        model: Name of the model, from the path.
        task: Of the model.

    Raises:
        InputError: The request is invalid.
    """
    check_known(body, FIELDS)
    parameters = body.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise wrong("parameters", "an object", parameters)
    check_known(parameters, ("binary_data_output",))
    names = _asked(body.get("outputs"), task)

    def answer(name: str, results: list[Any], tokens: int) -> Any:
        if task == "base":
            rows = [plain(one) for one in results]
            shape, values = (
                [len(rows), len(rows[0])],
                {"embedding": [x for row in rows for x in row]},
            )
        else:
            shape = [len(results)]
            values = {name: [one[name] for one in results] for name in ("label", "score")}
        outputs = [
            {"name": name, "datatype": kind, "shape": shape, "data": values[name]}
            for name, kind, _ in _OUTPUTS[task] if name in names
        ]  # fmt: skip
        found = {"model_name": model, "outputs": outputs}
        return found | ({"id": body["id"]} if "id" in body else {})

    return Call(model=model, rows=_texts(body.get("inputs"), rest), options={}, answer=answer)


def _asked(outputs: Any, task: str) -> list[str]:
    """Names of the requested output tensors; all of them by default."""
    names = [name for name, _, _ in _OUTPUTS[task]]
    if not outputs:
        return names
    listed = outputs if isinstance(outputs, list) else [outputs]
    asked = [one.get("name") if isinstance(one, Mapping) else one for one in listed]
    if any(one not in names for one in asked):
        raise wrong("outputs", "tensors by name: " + ", ".join(names), outputs)
    return [str(one) for one in asked]


def _texts(inputs: Any, rest: bytes) -> list[str]:
    tensor = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else None
    if not isinstance(tensor, Mapping) or tensor.get("datatype") != "BYTES":
        raise wrong("inputs", "one tensor of datatype BYTES", inputs)
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, Mapping) else None
    if size is not None:
        if size != len(rest):
            raise wrong("binary_data_size", f"{len(rest)}, the bytes after the JSON", size)
        texts = _decoded(rest)
    else:
        texts = _flat(tensor.get("data"))
    shape = tensor.get("shape")
    sizes: list[Any] = shape if isinstance(shape, list) else []
    is_shape = 0 < len(sizes) < 9 and all(type(one) is int for one in sizes)
    if not texts or not is_shape or prod(sizes) != len(texts):
        raise wrong("inputs[0].shape", f"a shape of {len(texts)} strings, at least 1", shape)
    return texts


def _flat(data: Any) -> list[str]:
    if isinstance(data, list) and data and all(isinstance(one, list) for one in data):
        data = [one for row in data for one in row]
    if not isinstance(data, list) or not all(isinstance(one, str) for one in data):
        raise wrong("inputs[0].data", "a list of strings", data)
    return data


def _decoded(content: bytes) -> list[str]:
    """Strings, each preceded by its length as four little-endian bytes."""
    texts, place = [], 0
    while place < len(content):
        end = place + 4 + int.from_bytes(content[place : place + 4], "little")
        if end > len(content):
            raise wrong("inputs[0]", "strings, each preceded by its length", "a truncated one")
        try:
            texts.append(content[place + 4 : end].decode())
        except UnicodeDecodeError as error:
            raise wrong(f"inputs[0][{len(texts)}]", "a string in UTF-8", str(error)) from None
        place = end
    return texts
