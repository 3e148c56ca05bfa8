"""Tables worked on side by side: processes of one thread each, and what they cost."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

#: Read when NumPy is imported: a thread per core and process, for matrices of six columns, waits more than it works.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def pool(workers: int) -> ProcessPoolExecutor:
    """Return processes that import everything anew, with linear algebra on one thread."""
    os.environ |= ONE_THREAD
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def cpu_seconds() -> float:
    """Return the processor time of this process and of those that it waited for."""
    return sum(os.times()[:4])


@contextmanager
def clock() -> Iterator[dict[str, float]]:
    """Give a record that holds wall and processor seconds of the block when the block is over."""
    found: dict[str, float] = {}
    start, cpu = time.perf_counter(), cpu_seconds()
    yield found
    found |= {"wall": time.perf_counter() - start, "cpu": cpu_seconds() - cpu}
