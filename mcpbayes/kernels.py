"""Which kernels do the heavy sums: NumPy's, always there, or compiled ones, where a table is worth the compiling.

Both give the same numbers to rounding from the same random numbers. Compiled kernels need numba, which PyTensor
brings; importing it takes about a second and compiling, once per installation, some more.
"""

import os
from functools import cache
from typing import Final

from mcpbayes.errors import SpecificationError

#: Environment variable that chooses: ``numpy``, ``numba`` or ``auto``.
VARIABLE: Final = "MCPBAYES_KERNEL"

#: Comparisons from which ``auto`` compiles.
COMPILED_FROM: Final = 500


def use_numba(comparisons: int) -> bool:
    """Return whether a table of so many comparisons goes through compiled kernels.

    Parameters
    ----------
    comparisons : int
        Of the whole table, not of a block of it: all parts of a run choose alike.

    Raises
    ------
    SpecificationError
        If the environment variable `VARIABLE` has another value than ``numpy``, ``numba`` and ``auto``.
    """
    choice = os.environ.get(VARIABLE, "auto")
    if choice not in ("numpy", "numba", "auto"):
        raise SpecificationError(
            f"The environment variable {VARIABLE} is {choice!r}; it may be numpy, numba or auto.", VARIABLE
        )
    wanted = choice == "numba" or (choice == "auto" and comparisons >= COMPILED_FROM)
    return wanted and _installed()


@cache
def _installed() -> bool:
    try:
        import numba  # noqa: F401  (a numba that does not know the installed NumPy refuses to be imported)
    except ImportError:
        return False
    return True
