"""The runtimes of devices, each on one thread, for `on_device.py` in processes of their own."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np

from distil.benchmarking.__main__ import peak_memory

BROWSER = os.environ.get("DISTIL_BROWSER") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)


def ids_of(tokens):
    """So many tokens; which ones does not matter."""
    return np.random.default_rng(tokens).integers(1000, 9000, (1, tokens))


class Runtime:
    """A runtime with an export.

    Attributes:
        before: The largest memory of the process before the export was opened, in MB.
    """

    before = None

    def ready(self):
        """Called when everything is imported, and nothing is opened."""
        self.before = peak_memory()

    def memory(self):
        """The largest memory of the process: before the export was opened, and so far, in MB."""
        return [self.before, peak_memory()]

    def time(self, tokens, times):
        """Processor time of a text of so many tokens in ms: the mean of a few, after one more."""
        ids = ids_of(tokens)
        mask = np.ones_like(ids)
        self.run(ids, mask)
        begin = time.process_time()
        for _ in range(times):
            self.run(ids, mask)
        return (time.process_time() - begin) * 1000 / times


class ONNXRuntime(Runtime):
    def __init__(self, path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.ready()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.run = lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})


class OpenVINO(Runtime):
    def __init__(self, path):
        import openvino

        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
        self.ready()
        model = openvino.Core().compile_model(path, "CPU", options)
        self.run = lambda ids, mask: model({"input_ids": ids, "attention_mask": mask})


class LiteRT(Runtime):
    def __init__(self, path):
        from ai_edge_litert.interpreter import Interpreter

        self.ready()
        run = Interpreter(path, num_threads=1).get_signature_runner()
        self.run = lambda ids, mask: run(input_ids=ids, attention_mask=mask)


class ExecuTorch(Runtime):
    def __init__(self, path):
        import torch
        from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
        from executorch.runtime import Runtime as Programs

        _unsafe_reset_threadpool(1)
        self.ready()
        self._program = Programs.get().load_program(path)  # has to stay: it holds the weights
        method = self._program.load_method("forward")
        self.run = lambda ids, mask: method.execute([torch.from_numpy(ids), torch.from_numpy(mask)])


class Browser(Runtime):
    """The WebAssembly runtime of an exported page, in a browser of its own.

    Args:
        path: The page's folder.
        kind: What computes, see browser.mjs.
        model: Name of the folder in `path`, for transformers.js.
        modules: The node_modules that has transformers.js.
    """

    def __init__(self, path, kind="session", model="", modules=""):
        script = str(Path(__file__).with_name("browser.mjs"))
        self._process = subprocess.Popen(
            ["node", script, BROWSER, modules],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.before = self._ask("load", kind=kind, folder=path, model=model)["before"]

    def memory(self):
        return [self.before, self._ask("memory")]

    def time(self, tokens, times):
        return self._ask("time", ids=ids_of(tokens)[0].tolist(), times=times) / times

    def texts(self, texts):
        """Processor time of all texts, one by one, in ms, and their labels."""
        return self._ask("texts", texts=texts)

    def _ask(self, step, **given):
        self._process.stdin.write(json.dumps({step: given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the browser ended"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["found"]
