"""The example table that travels with the package: simulated, no field measured these numbers."""

from importlib import resources
from pathlib import Path

import pandas as pd

from mcpbayes.tables.reading import read_table


def example_path() -> Path:
    """Return the file of the example table."""
    return Path(str(resources.files("mcpbayes.tables") / "example.csv"))


def read_example() -> pd.DataFrame:
    """Return the example table: simulated comparisons in the layout ``comparison``.

    Returns
    -------
    DataFrame
        As from `mcpbayes.read_table`, with ``attrs["source"]`` = ``"example.csv"``.
    """
    table = read_table(example_path())
    table.attrs["path"] = example_path().name
    return table
