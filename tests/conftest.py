"""Which frameworks a run is about: `pytest --frameworks pt,tf` (both, unless told otherwise).

A test marked `pt` or `tf` needs that framework, one marked `openvino` or `onnxruntime` that engine.
What was asked for and is not installed fails the run; it is never skipped.
"""

import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# A shell that starts a command in the background has it ignore Ctrl-C, which tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes to draw or to run is the machine's affair.
settings.register_profile("distil", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("distil")

PACKAGES = {
    "pt": "torch", "tf": "tensorflow", "openvino": "openvino", "onnxruntime": "onnxruntime",
}  # fmt: skip

# What every test in a folder needs.
FOLDERS = {
    "unit/pt": ("pt",), "unit/tf": ("tf",), "parity": ("pt", "tf"), "reference": ("pt", "tf"),
    "engines": ("pt", "openvino", "onnxruntime"), "exports": ("pt", "tf"),
    "habits/pt": ("pt",), "habits/tf": ("tf",),
}  # fmt: skip


def pytest_addoption(parser):
    parser.addoption(
        "--frameworks",
        default="pt,tf",
        help="pt, tf, openvino, onnxruntime, several with commas, or none",
    )


def pytest_configure(config):
    for name, package in PACKAGES.items():
        config.addinivalue_line("markers", f"{name}: needs {package}")
    asked = config.getoption("--frameworks").split(",")
    asked = [] if asked == ["none"] else asked
    expected = ", ".join(PACKAGES)
    for name in asked:
        if name not in PACKAGES:
            raise pytest.UsageError(f"--frameworks: expected {expected} or none, found {name!r}")
        if find_spec(PACKAGES[name]) is None:
            raise pytest.UsageError(f"--frameworks asks for {name}: {PACKAGES[name]} is missing")
    config.frameworks = asked


def pytest_ignore_collect(collection_path, config):
    """Leave out folders that import a framework which this run is not about."""
    folder = collection_path.relative_to(Path(__file__).parent).as_posix()
    needs = next((set(n) for name, n in FOLDERS.items() if folder.startswith(name)), set())
    return True if not needs <= set(config.frameworks) else None


def pytest_collection_modifyitems(config, items):
    def asked(item):
        needs = {name for name in PACKAGES if item.get_closest_marker(name)}
        return needs <= set(config.frameworks)

    config.hook.pytest_deselected(items=[item for item in items if not asked(item)])
    items[:] = [item for item in items if asked(item)]


@pytest.fixture(scope="session")
def shared():
    """The folder of real data that developers have beside the repository."""
    folder = Path(os.environ.get("DISTIL_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"real data is not at {folder}; set DISTIL_SHARED to its place")
    return folder
