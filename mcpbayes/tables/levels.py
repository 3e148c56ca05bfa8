"""Kinds of treatment and sites: what they are called, and whether the model gets a level for them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.tables.guess import nearest
from mcpbayes.tables.naming import natural_order

#: Kind and spelling where the table does not say what the treatment was.
TREATMENT = "treatment"
#: The site level is on from this many studies with two sites, and as many sites with two comparisons: below that its
#: heterogeneity can hardly be told from that of the studies and of the comparisons.
ENOUGH = 5


def kinds_of(treatment: pd.Series, kinds: Mapping[str, str]) -> tuple[pd.Series, list[Problem]]:
    """Return the kind of treatment of each row, and a warning for spellings of the mapping that are in no row."""
    kind = treatment.map(lambda spelling: kinds.get(spelling, spelling)).replace("", TREATMENT).astype(object)
    spellings = set(treatment)
    unused = []
    for spelling in kinds:
        if spelling not in spellings:
            near = nearest(spelling, spellings - {""})
            unused.append(
                Problem(
                    "kind-unused",
                    "[data.kinds] lists a spelling that is in no row of the table",
                    "warning",
                    value=spelling,
                    remedy=f"Did you mean {near!r}?" if near else None,
                )
            )
    return kind, unused


def kind_level(kind: pd.Series, study: pd.Series, setting: str) -> tuple[str, list[Problem]]:
    """Return whether kinds are a level (on, off), and what the reader should know about it."""
    kinds = natural_order(kind)
    if len(kinds) < 2:
        if setting != "on":
            return "off", []
        only = Problem(
            "one-kind",
            f"levels.kind = on needs two kinds of treatment, there is only {kinds[0]!r}; the level is off",
            "warning",
        )
        return "off", [only]
    if setting == "off":
        return "off", []  # nothing is said of single kinds then
    studies = study.groupby(kind).nunique()
    rare = [name for name in kinds if studies[name] == 1]
    problems = []
    if rare:
        problems.append(
            Problem(
                "kind-in-one-study",
                f"{len(rare)} of {len(kinds)} kinds of treatment were seen in one study only: what is said of them "
                "rests on that study",
                "warning",
                value=", ".join(rare),
                remedy="Spellings of one kind can be joined in [data.kinds].",
            )
        )
    return "on", problems


def site_names(rows: pd.DataFrame) -> pd.Series:
    """Return the site of each row: ``study: site``, else ``study: latitude, longitude``, else the study itself.

    Parameters
    ----------
    rows : DataFrame
        Columns ``study``, ``site`` (str), ``latitude``, ``longitude`` (float).
    """
    located = rows["latitude"].notna() & rows["longitude"].notna() & (rows["site"] == "")
    place = rows["site"].astype(object)
    place[located] = [
        f"{latitude:.15g}, {longitude:.15g}"
        for latitude, longitude in rows.loc[located, ["latitude", "longitude"]].to_numpy()
    ]
    return (rows["study"] + ": " + place).where(place != "", rows["study"])


def site_level(rows: pd.DataFrame, site: pd.Series, setting: str) -> tuple[str, list[Problem]]:
    """Return whether sites are a level (on, off), with a warning where several depths or dates are taken for plots.

    Parameters
    ----------
    rows : DataFrame
        Columns ``study``, ``depth_top``, ``depth_bottom``, ``date``; one row per comparison.
    site : Series of str
        Site of each comparison.
    setting : {"auto", "on", "off"}
        From the specification.
    """
    studies_with_two = int((site.groupby(rows["study"]).nunique() >= 2).sum())
    sites_with_two = int((site.value_counts() >= 2).sum())
    if setting == "on" and studies_with_two == 0:
        alone = "levels.site = on needs a study with two sites, there is none; the level is off"
        return "off", [Problem("one-site-per-study", alone, "warning"), *_several_depths(rows, site)]
    enough = studies_with_two >= ENOUGH and sites_with_two >= ENOUGH
    if setting == "on" or (setting == "auto" and enough):
        return "on", []
    return "off", _several_depths(rows, site)


def _several_depths(rows: pd.DataFrame, site: pd.Series) -> list[Problem]:
    layers = rows[["depth_top", "depth_bottom", "date"]].groupby(site.to_numpy()).nunique().max(axis=1)
    several = natural_order(layers.index[layers > 1])
    if not several:
        return []
    return [
        Problem(
            "several-depths-of-one-site",
            f"{len(several)} site{'s have' if len(several) > 1 else ' has'} several depths or dates, which are treated "
            "as separate plots although they share them",
            "warning",
            rows=tuple(int(row) for row in rows.index[np.isin(site, several)]),
            value="; ".join(several),
            remedy="Keep one depth and date per site, or set levels.site = on where there are enough sites.",
        )
    ]
