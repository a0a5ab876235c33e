"""Both frameworks in one process: their pools of threads must not wait for each other."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """For every test of a folder whose conftest.py imports this; both frameworks are there."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
