"""Both frameworks in one process: their pools of threads must not wait for each other."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    import torch  # noqa: PLC0415 - only where a test has asked for it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
