"""What a run says at its end: size, headline per kind, what was imputed; the report's own sentences, as plain lines."""

import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.tree import group, has_two_pools
from mcpbayes.estimands.wording import interval_name
from mcpbayes.output.document.context import headlines, names_of_headlines
from mcpbayes.output.document.conversion import source_line
from mcpbayes.output.document.influence import finding
from mcpbayes.output.document.material import analysed, durations, imputed
from mcpbayes.output.document.model import where_typical
from mcpbayes.output.document.numbers import listing, plural
from mcpbayes.output.document.parts import contribution_lines


def assumption_lines(data: xr.Dataset) -> list[str]:
    """Return what a run will analyse and assume.

    Parameters
    ----------
    data : xr.Dataset
        From `mcpbayes.prepare`.

    Returns
    -------
    list of str
        One line on the size, one on how many controls were found and by which rule, one on imputation.
    """
    return [_size(data), *filter(None, [str(data.attrs.get("control_rule", ""))]), _imputed(data)]


def closing_lines(result: xr.DataTree, summary: pd.DataFrame) -> list[str]:
    """Return the lines that a run ends with.

    Parameters
    ----------
    result : xr.DataTree
        From `mcpbayes.analyse`.
    summary : DataFrame
        Of `mcpbayes.summarise` for the same result.

    Returns
    -------
    list of str
        One line on what was analysed, the headline sentences of each kind (levels mean and new), one on imputation;
        where there are such, lines on what fungal and bacterial necromass contribute to ΔMCP, on moderators, on studies
        left out, and on necromass made of amino sugars. Of a two-pool result, in place of headlines, the range of
        durations and how much the table told of turnover.
    """
    data = group(result, words.DATA)
    if has_two_pools(result):
        return [_size(data), f"Durations {durations(data)}.", _overlap(summary), _imputed(data)]
    lines = [_size(data)]
    for headline in headlines(result, data, summary):
        lines += [f"{headline['name']}{headline[level]}" for level in (words.MEAN, words.NEW)]
    if result.attrs["status"] != "failed":
        lines += contribution_lines(data, summary, names_of_headlines(data, summary))
    return [*lines, *filter(None, [where_typical(data), finding(result), source_line(data)]), _imputed(data)]


def _size(data: xr.Dataset) -> str:
    found = analysed(data)
    counts = [plural(data.sizes["study"], "study", "studies"), plural(data.sizes["control"], "control")]
    counts += [plural(data.sizes["comparison"], "comparison")]
    largest = f"the largest study ({found['largest_study']}) holds {found['largest_share']} of the comparisons"
    return f"{listing(counts)}; {largest}."


def _overlap(summary: pd.DataFrame) -> str:
    """Say how far posterior and prior of the turnover rates overlap, and their estimates."""
    rates = summary[summary["prior_overlap"].notna()]
    interval = interval_name(rates["interval_kind"].iloc[0], rates["interval_prob"].iloc[0])
    parts = [
        f"{row['quantity'].removeprefix('turnover_rate')[1:-1].replace('_', '-')} {row['median']:.3f} "
        f"({row['lower']:.3f} to {row['upper']:.3f}), overlap with its prior {100 * row['prior_overlap']:.0f} %"
        for row in rates.to_dict("records")
    ]
    return f"Turnover rates per year, median ({interval}): {'; '.join(parts)}."


def _imputed(data: xr.Dataset) -> str:
    """Name every quantity that was imputed anywhere, with its count and the value used."""
    parts = []
    for row in imputed(data):
        total = sum(int(str(row[name])) for name in (words.REPORTED, words.DERIVED, words.IMPUTED))
        if row["imputed"]:
            parts.append(f"{row['quantity']} {row['imputed']} of {total} ({row['used']})")
    return f"Imputed: {'; '.join(parts)}." if parts else "Imputed: nothing."
