"""Memory to work in that a thread keeps from one block of rows to the next."""

import threading
from math import prod
from typing import Any, Final

import numpy as np

_SCRATCH: Final = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    """Return an array to work in, uninitialised; the next call of this thread with the same name overwrites it.

    Fresh memory for every block of rows would cost as much as the sums done in it: the system hands out zeroed pages.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    kept: np.ndarray | None = getattr(_SCRATCH, name, None)
    if kept is None or kept.size < size:
        kept = np.empty(size, dtype=np.uint8)
        setattr(_SCRATCH, name, kept)
    return np.asarray(kept[:size].view(dtype).reshape(shape))
