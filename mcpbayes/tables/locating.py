"""Where in the user's table each column stands: the mapping of the specification, and what is absent."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from mcpbayes.errors import Problem
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.columns import ROLES, Column, columns, instead_of, mean_column, measured
from mcpbayes.tables.guess import amino_sugar_meant, best_guess, guess_columns, nearest, parts_of
from mcpbayes.tables.recognising import lacking_columns
from mcpbayes.vocabulary import NECROMASS, PARTS, SOC

_OTHER: Final = {NECROMASS: SOC, SOC: NECROMASS}
#: Pools that amino sugars can be made into.
_MADE: Final = (NECROMASS, *PARTS)
#: What `mcpbayes.simulate` marks its tables with.
SIMULATED: Final = "simulated"


def locate_columns(
    available: Sequence[str],
    data: DataSection,
    used: Collection[str] = (),
    wordy: Collection[str] = (),
    *,
    two_pools: bool = False,
) -> tuple[dict[str, str], list[Problem]]:
    """Return where the columns of a layout stand in a table.

    Parameters
    ----------
    available : sequence of str
        Names of the table's columns.
    data : DataSection
        The layout and the mapping of names; unlisted names are looked up as they are.
    used : collection of str
        Further names that are needed: the formula's moderators.
    wordy : collection of str
        Columns that hold texts, which are not proposed for numbers.
    two_pools : bool
        The model is of the two-pool family, which cannot do without a pool.

    Returns
    -------
    names : dict of str to str
        Canonical name → the user's, for the columns that exist, mapped moderators included.
    problems : list of Problem
        Mapped and required columns that do not exist, with the nearest name.
    """
    known = {column.name: column for column in columns(data.layout, data.outcomes)}
    names: dict[str, str] = {}
    problems: list[Problem] = []
    for canonical, name in data.columns.items():
        if name in available:
            names[canonical] = name
        else:
            problems.append(_mapped_column_absent(canonical, name, available))
        if canonical not in known and canonical not in used:
            problems.append(_mapping_unused(canonical, name, known))
    names |= {name: name for name in known if name in available and name not in data.columns}
    free = [name for name in available if name not in known and name not in data.columns.values()]
    lacking = lacking_columns({*names, *data.columns}, data.layout, data.outcomes)
    sugars = _sugars_of_plots(available, names, data)
    lacking = [name for name in lacking if not (name in _MADE and sugars)]
    free = [name for name in free if name not in used]
    guesses = guess_columns(free, data.layout, data.outcomes, names, wordy=wordy) if lacking else {}
    for name in lacking:
        rest = [n for n in free if n not in guesses.values() and not (known[name].kind == "number" and n in wordy)]
        if name not in guesses and (guess := best_guess(name, rest)):
            guesses[name] = guess
    for name in lacking:
        parts = parts_of(name, free) if name not in guesses else []
        problems.append(_column_absent(known[name], guesses.get(name), data.layout, parts, two_pools))
    problems += sugars
    return names, problems + _means_mapped_twice(names, data)


def unused_columns(
    available: Sequence[str], names: Mapping[str, str], data: DataSection, moderators: Collection[str]
) -> list[Problem]:
    """Return a note of the columns that nobody uses, and a warning if one of them may hold the treatments.

    Parameters
    ----------
    available : sequence of str
        Names of the table's columns.
    names : mapping of str to str
        Canonical name → the user's, from `locate_columns`.
    data : DataSection
        The layout and the mapping of names.
    moderators : collection of str
        Names in the formula.
    """
    used = {*names.values(), *moderators, SIMULATED}
    unused = [name for name in available if name not in used]
    if data.layout == "plot" and set(_MADE) & set(data.outcomes):  # of amino sugars more is said
        unused = [name for name in unused if not amino_sugar_meant(name)]
    listed = ", ".join(unused)
    problems = []
    if data.layout != "contrast" and "treatment" not in names and "treatment" not in data.columns:
        guess = best_guess("treatment", unused)
        remedy = f"If it is your column {guess!r}: " if guess else "If a column names the treatments: "
        problems.append(
            Problem(
                "no-treatment",
                "no column is known as the treatment, so all comparisons count as one kind"
                + ("; these columns are not used" if unused else ""),
                "warning",
                value=listed or None,
                expected="a column that says what was done, by this name or mapped to it",
                remedy=f"{remedy}--set data.columns.treatment={_quoted(guess) if guess else 'NAME'}.",
            )
        )
    if unused:
        message = f"{len(unused)} column{'s are' if len(unused) > 1 else ' is'} not used"
        problems.append(Problem("columns-unused", message, "note", value=listed))
    return problems


def _mapped_column_absent(canonical: str, name: str, available: Sequence[str]) -> Problem:
    near = nearest(name, available) or best_guess(canonical, available)
    advice = (
        f" The nearest existing column is {near!r}: --set data.columns.{canonical}={_quoted(near)}." if near else ""
    )
    return Problem(
        "mapped-column-absent",
        f"the table has no column {name!r}, to which {canonical} is mapped",
        column=name,
        expected=f"one of the table's columns: {', '.join(available)}",
        remedy=f"Correct data.columns.{canonical} in the specification.{advice}",
    )


def _mapping_unused(canonical: str, name: str, known: Collection[str]) -> Problem:
    near = nearest(canonical, known)
    return Problem(
        "mapping-unused",
        f"data.columns.{canonical} is neither a column of this layout nor a moderator in the formula: not used",
        "warning" if near else "note",
        column=name,
        remedy=f"Did you mean {near}?" if near else "Take it out, or use it in the formula.",
    )


def _sugars_of_plots(available: Sequence[str], names: Mapping[str, str], data: DataSection) -> list[Problem]:
    """Return what is to be said of amino sugars of plots: an error where necromass would have to be made of them."""
    found = [name for name in available if amino_sugar_meant(name) and name not in names.values()]
    wanted = [pool for pool in _MADE if pool in data.outcomes]
    if data.layout != "plot" or not wanted or not found:
        return []
    here = all(pool in names for pool in wanted)
    return [
        Problem(
            "amino-sugars-of-plots",
            "amino sugars are not taken in the layout plot" + (": necromass is used as it is given" if here else ""),
            "warning" if here else "error",
            column=", ".join(found),
            expected=f"a column {' and a column '.join(wanted)}",
            remedy="Convert the amino sugars of each plot first: necromass = 9 GlcN + 32.16 MurN with the conventional "
            "factors (45, 9 and 2). Or give one row per arm (data.layout=arm) with means, SDs and n of glucosamine and "
            "muramic_acid: the doubt about the factors is carried then.",
        )
    ]


def _column_absent(column: Column, guess: str | None, layout: str, parts: Sequence[str], two_pools: bool) -> Problem:
    model = "--model arm-based " if two_pools else ""
    remedy = f"Give the table a column {column.name}, or map one of yours: --set data.columns.{column.name}=NAME."
    if guess:
        remedy = f"If it is your column {guess!r}: --set data.columns.{column.name}={_quoted(guess)}."
    elif parts:
        outcomes = ", ".join(f'"{pool}"' for pool in (*PARTS, SOC))
        remedy = (
            f"Both parts are there, {parts[0]!r} and {parts[1]!r}: analyse them as pools of their own, "
            f"{model}--set 'data.outcomes=[{outcomes}]', or give the table a column {column.name} with their sum."
        )
    elif column.outcome in _OTHER:
        remedy += f" Without that pool: {model}--set 'data.outcomes=[\"{_OTHER[column.outcome]}\"]'."
    if others := instead_of(layout, column.name):
        remedy += f" Or give {' and '.join(others)}."
    return Problem(
        "column-absent",
        f"the table has no column {column.name}",
        column=column.name,
        expected=column.meaning[0].lower() + column.meaning[1:].removesuffix("."),
        remedy=remedy,
    )


def _means_mapped_twice(names: Mapping[str, str], data: DataSection) -> list[Problem]:
    """Return an error for each column that is to be the mean of two arms or pools at once."""
    means: dict[str, list[str]] = {}
    for outcome in measured(data.outcomes):
        for role in ROLES:
            canonical = mean_column(data.layout, outcome, role)
            if canonical in names and canonical not in means.get(names[canonical], ()):
                means.setdefault(names[canonical], []).append(canonical)
    return [
        Problem(
            "column-mapped-twice",
            f"the column is mapped to {' and to '.join(canonical)}",
            column=name,
            expected="a column of its own for each mean",
            remedy="Correct [data.columns] in the specification.",
        )
        for name, canonical in means.items()
        if len(canonical) > 1
    ]


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"'{name}'"
