"""Names and their order: natural sorting, numbered repeats, rows in an order that does not depend on the file."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcpbayes.specification.formula import natural_key


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, for example ``"1 arm"`` and ``"3 arms"``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def natural_order(names: Iterable[str]) -> list[str]:
    """Return the distinct names in natural order."""
    return sorted(set(names), key=natural_key)


def natural_rank(names: Sequence[str] | pd.Series) -> NDArray[np.int64]:
    """Return each name's position among the distinct names in natural order."""
    rank = {name: i for i, name in enumerate(natural_order(names))}
    return np.array([rank[name] for name in names], dtype=np.int64)


def canonical_order(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """Return the positions that sort a frame by its columns, the first one leading.

    Parameters
    ----------
    frame : DataFrame
        Numeric columns are sorted by value (missing last), all others as text in natural order.
    columns : sequence of str
        Columns in order of precedence.

    Returns
    -------
    ndarray of int, shape (rows,)
    """
    keys = []
    for name in columns:
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column):
            values = column.to_numpy(float)
            keys.append(np.where(np.isnan(values), np.inf, values))
        else:
            keys.append(natural_rank(column).astype(float))
    return np.lexsort(keys[::-1]) if keys else np.arange(len(frame))


def number_repeats(names: Sequence[str]) -> list[str]:
    """Return the names made unique: the second of one name gets `` (2)``, the third `` (3)``, in the order given.

    A number that would make a name already in use is passed over.
    """
    taken, seen, unique = set(names), Counter[str](), list[str]()
    for name in names:
        seen[name] += 1
        new = name
        while seen[name] > 1 and (new := f"{name} ({seen[name]})") in taken:
            seen[name] += 1
        taken.add(new)
        unique.append(new)
    return unique
