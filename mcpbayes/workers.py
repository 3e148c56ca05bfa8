"""Independent pieces of work on all cores; results come back in order, so their number changes nothing."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


#: Pieces in work or waiting at once: bounds memory where pieces are large.
_AHEAD: Final = 2


_thread = threading.local()


def _mark() -> None:
    """Say of the present thread that it works for `in_threads`."""
    _thread.works = True


def in_threads[Item, Result](function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``function(item)`` in the order of the items, worked on by one thread per core.

    Parameters
    ----------
    function : callable
        Spends its time in NumPy, SciPy or compiled code, which release the interpreter lock; shares nothing.
    items : iterable
        Taken as they are needed: at most `_AHEAD` per core are in work or wait.

    Raises
    ------
    Exception
        What ``function`` raised, at the place of its item.
    """
    size = cores()
    source = iter(items)
    if size == 1 or getattr(_thread, "works", False):
        yield from map(function, source)  # a worker's own pieces stay with it: the other cores are busy already
        return
    with ThreadPoolExecutor(size, initializer=_mark) as pool:
        waiting = [pool.submit(function, item) for item in islice(source, _AHEAD * size)]
        while waiting:
            result = waiting.pop(0).result()
            waiting.extend(pool.submit(function, item) for item in islice(source, 1))
            yield result
