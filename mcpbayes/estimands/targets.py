"""Which effects are asked for: the targets of a result, each with its design row and weights of treatment kinds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError, StageError
from mcpbayes.estimands.layout import positions, sums
from mcpbayes.specification.fields import unknown
from mcpbayes.specification.formula import categories, design_row

At = Mapping[str, Sequence[object]]

#: Name under which treatment kinds are asked for in ``at``, beside the moderators.
KIND: Final = "kind"

#: Levels whose targets do not belong to one study of the table.
POPULATION: Final = (words.MEAN, words.NEW)


def target_name(level: str, name: str) -> str:
    """Return the coordinate of a target on dim ``target``."""
    return f"{level}: {name}"


def kind_of_target(name: str, kinds: Iterable[str]) -> str | None:
    """Return the kind that a target's name speaks of; None where it speaks of none or of their average.

    The longest kind that fits, since one kind's name may begin with another's ("N" and "N, P").
    """
    fits = [kind for kind in kinds if name == f"{KIND}={kind}" or name.startswith(f"{KIND}={kind}, ")]
    return max(fits, key=len, default=None)


def kinds_of(posterior: xr.Dataset) -> tuple[str, ...]:
    """Return the treatment kinds with effects of their own; empty where that level is off."""
    return tuple(str(kind) for kind in posterior["kind"].values) if "kind_effect" in posterior else ()


def _categories(data: xr.Dataset) -> dict[str, tuple[str, ...]]:
    recipe = data["design"].attrs.get("recipe")
    return {} if recipe is None else categories(recipe)


def _recipe_row(data: xr.Dataset, at: Mapping[str, object]) -> np.ndarray:
    recipe = data["design"].attrs.get("recipe")
    if recipe is not None:
        return design_row(recipe, at)
    if data.sizes["coefficient"] > 1:
        raise StageError("The design of the data has no recipe for new points: prepare the table again and refit.")
    if at:
        raise unknown("moderator", next(iter(at)), [], "at")
    return np.ones(1)


def _read_at(at: At, data: xr.Dataset, kinds: Sequence[str]) -> dict[str, list[object]]:
    """Return the values asked for, checked and without repeats; kinds first, so that names come out one way only."""
    named = {KIND, *_categories(data)}
    read: dict[str, list[object]] = {}
    for name in sorted(at, key=lambda key: key != KIND):
        given = [at[name]] if isinstance(at[name], str) else list(at[name])
        if not given:
            raise SpecificationError("no value is given", f"at.{name}")
        for value in given:
            _check_point(name, value, data, kinds)
        read[name] = list(dict.fromkeys(str(value) if name in named else float(str(value)) for value in given))
    return read


def _check_point(name: str, value: object, data: xr.Dataset, kinds: Sequence[str]) -> None:
    if name != KIND:
        _recipe_row(data, {name: value})
    elif not kinds:
        raise SpecificationError("the level of treatment kinds is off, so there are no kinds to ask for", "at.kind")
    elif str(value) not in kinds:
        raise unknown("kind", str(value), kinds, "at.kind")


def _text(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _points(data: xr.Dataset, kinds: Sequence[str], at: At) -> Iterator[tuple[str, str | None, dict[str, object]]]:
    """Yield name, kind (None: averaged) and moderator values of the points of the levels mean and new."""
    for kind in kinds:
        yield f"{KIND}={kind}", kind, {}
    yield (words.AVERAGE_OVER_KINDS if kinds else words.AVERAGE), None, {}
    for moderator, found in _categories(data).items():
        for category in found:
            yield f"{moderator}={category}", None, {moderator: category}
    read = _read_at(at, data, kinds)
    for values in product(*read.values()) if read else ():
        point = dict(zip(read, values, strict=True))
        name = ", ".join(f"{key}={_text(value)}" for key, value in point.items())
        asked = point.pop(KIND, None)
        yield name, None if asked is None else str(asked), point


def population_points(data: xr.Dataset, kinds: Sequence[str], at: At | None = None) -> xr.Dataset:
    """Return the points of the levels mean and new.

    Parameters
    ----------
    data : Dataset
        Group ``data``; ``design`` carries its recipe.
    kinds : sequence of str
        Treatment kinds; empty where that level is off.
    at : mapping of moderator to values, optional
        Points asked for; several moderators give the grid. ``kind`` is a moderator where that level is on.

    Returns
    -------
    Dataset
        ``row(point, coefficient)`` and ``kind_weight(point, kind)``, the weights of κ: one kind, or all equally.
        Kinds, the average, categories, then ``at``; a point asked for twice stands once.

    Raises
    ------
    SpecificationError
        ``at`` names a moderator, category or kind that does not exist, or no number where one is needed.
    """
    rows: dict[str, np.ndarray] = {}
    weights: dict[str, np.ndarray] = {}
    for name, kind, point in _points(data, kinds, at or {}):
        row = _recipe_row(data, point)
        if name in rows:
            continue
        rows[name] = row
        weights[name] = np.array([1 / len(kinds) if kind is None else float(kind == other) for other in kinds])
    return _dataset("point", list(rows), np.stack(list(rows.values())), np.stack(list(weights.values())), data, kinds)


def observed_points(data: xr.Dataset, kinds: Sequence[str], level: str) -> xr.Dataset:
    """Return the points of level ``study`` or ``comparison``: design rows and kinds averaged over the comparisons.

    Parameters
    ----------
    data : Dataset
        Group ``data``.
    kinds : sequence of str
        Treatment kinds; empty where that level is off.
    level : {"study", "comparison"}

    Returns
    -------
    Dataset
        As `population_points`; the points are the studies or the comparisons.
    """
    return _dataset("point", *_observed(data, kinds, level), data, kinds)


def _observed(data: xr.Dataset, kinds: Sequence[str], level: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return names, design rows and weights of kinds of all studies or comparisons."""
    rows = data["design"].transpose("comparison", "coefficient").values
    weights = (data["kind_of_comparison"].values[:, None] == np.array(kinds, dtype=object)).astype(float)
    names = data[level].values.astype(str).tolist()
    if level == words.STUDY:
        study = positions(data["study"].values, data["study_of_comparison"].values)
        count = np.bincount(study, minlength=len(names))[:, None]
        rows, weights = (sums(study, len(names), values) / count for values in (rows, weights))
    return names, rows, weights


def _dataset(
    dim: str, names: list[str], rows: np.ndarray, weights: np.ndarray, data: xr.Dataset, kinds: Sequence[str]
) -> xr.Dataset:
    return xr.Dataset(
        {"row": ((dim, "coefficient"), rows), "kind_weight": ((dim, "kind"), weights)},
        coords={dim: names, "coefficient": data["coefficient"].values, "kind": list(kinds)},
    )


def targets(data: xr.Dataset, posterior: xr.Dataset, at: At | None = None) -> xr.Dataset:
    """Return all targets of a result in the order of its tables.

    Parameters
    ----------
    data, posterior : Dataset
        Groups of the result.
    at : mapping of moderator to values, optional
        As `population_points`.

    Returns
    -------
    Dataset
        ``row(target, coefficient)``, ``kind_weight(target, kind)``; coords ``target``, ``level``, ``name``.
    """
    kinds = kinds_of(posterior)
    population = population_points(data, kinds, at)
    points = (population["point"].values.tolist(), population["row"].values, population["kind_weight"].values)
    parts = [points, points, *(_observed(data, kinds, level) for level in (words.STUDY, words.COMPARISON))]
    names, rows, weights = zip(*parts, strict=True)
    levels = np.repeat([*POPULATION, words.STUDY, words.COMPARISON], [len(part) for part in names])
    together = [name for part in names for name in part]
    full = [target_name(level, name) for level, name in zip(levels.tolist(), together, strict=True)]
    made = _dataset("target", full, np.concatenate(rows), np.concatenate(weights), data, kinds)
    return made.assign_coords(level=("target", levels), name=("target", together))
