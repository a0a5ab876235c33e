"""Works around a fault of MKL that changes what the first large `exp` of a process gives.

MKL chooses the code for a function of its vector library when that is first called.  If several
threads do so at once, some of them may take code of low accuracy for their part of that one call
(pytorch/pytorch issue 188792): training that is gone on with would end with other last digits now
and then.  A call with one element is made by one thread.

TensorFlow does not use MKL's vector library: this file has no twin.
"""

import torch

# What this package calls outside fused operations, which have code of their own.
_FUNCTIONS = (torch.exp, torch.tanh)


def settle() -> None:
    """Let MKL choose its code while nothing else runs."""
    for dtype in (torch.float32, torch.float64):
        for function in _FUNCTIONS:
            function(torch.zeros(1, dtype=dtype))
