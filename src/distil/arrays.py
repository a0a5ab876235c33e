"""What an array is, in annotations: NumPy's, of any type and shape."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
