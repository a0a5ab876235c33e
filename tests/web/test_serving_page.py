"""The page of `distil serve`, used by keyboard in Chromium."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import distil
from distil.pipelines import PIPELINES
from support.folders import make_tokenizer
from support.inference import FakeModel
from web.browser import BROWSER, WEB, needs_browser

pytest.importorskip("uvicorn")
SCRIPT = Path(__file__).parents[1] / "support/serve_slowly.py"


@needs_browser
def test_every_model_answers_by_keyboard():
    source = str(Path(distil.__file__).parents[1])
    server = subprocess.Popen(
        [sys.executable, str(SCRIPT), "0"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    with server:
        try:
            address = server.stderr.readline().split()[-1]
            said = subprocess.run(
                ["node", str(WEB / "test/serving.mjs"), address, BROWSER], check=True,
                capture_output=True, text=True, timeout=120,
            ).stdout  # fmt: skip
        finally:
            server.terminate()
    found = json.loads(said)
    assert found["order"] == ["model", "text", "key", "BUTTON"]
    assert (found["elsewhere"], found["problems"], found["unlabelled"]) == ([], [], [])
    assert "tokens/s" in found["state"]
    for answer in found["answers"]:
        status, _, results = answer["text"].partition("\n")
        assert status.startswith("200, ")
        pipe = PIPELINES[answer["model"]](FakeModel(answer["model"]), make_tokenizer())
        expected = [
            one.tolist() if hasattr(one, "tolist") else one for one in pipe(["the good film"])
        ]
        assert json.loads(results) == expected
