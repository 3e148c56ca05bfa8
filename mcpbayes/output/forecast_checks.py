"""Are the draws of a forecast to be believed? Judged as those of every run."""

import numpy as np
import pandas as pd

from mcpbayes import vocabulary as words
from mcpbayes.errors import Problem
from mcpbayes.estimands.targets import POPULATION
from mcpbayes.evidence.findings import count_problems, failing_rows, row_problems


def judged_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of ``forecast.csv`` as the gate of a run takes them: named with their horizon."""
    named = table["name"] + ", " + table["horizon"]
    return table.assign(name=named, finite=np.isfinite(table["mean"]), expected=True)


def forecast_problems(table: pd.DataFrame) -> list[Problem]:
    """Return what is wrong with the draws of a forecast, judged as those of every run.

    The levels mean and new pass or fail; rows of studies and comparisons beyond a limit are counted in a warning.
    """
    rows = judged_rows(table)
    failing = rows.loc[failing_rows(rows), "level"]
    counts = {level: int((failing == level).sum()) for level in (words.STUDY, words.COMPARISON)}
    return [*row_problems(rows[rows["level"].isin(POPULATION)]), *count_problems(counts)]
