"""Units of concentration, as papers and spreadsheets spell them, in g per kg of dry soil."""

import re
from functools import cache
from typing import Final

import pint

from mcpbayes.errors import SpecificationError

ACCEPTED: Final = "g/kg (also g kg-1, mg/g), mg/kg (ug/g), % (g/100g)"

#: Nothing weighs more than itself: a factor above that of kg/kg is a misspelt unit (Mg for mg).
_LARGEST: Final = 1000.0

#: Units and powers with * or / between them; anything else never reaches pint.
_PRODUCT: Final = r"[A-Za-z%]+(\*\*[-+]?[0-9])?([*/][A-Za-z%]+(\*\*[-+]?[0-9])?)*"
_FRACTIONS: Final = ("percent", "permille", "ppm")

#: Spellings pint does not read → ones it reads, applied in this order to the text.
_SPELLINGS: Final = (
    (r"[\N{GREEK SMALL LETTER MU}\N{MICRO SIGN}]", "u"),
    (r"[\N{SUPERSCRIPT MINUS}\N{MINUS SIGN}\N{EN DASH}\N{NON-BREAKING HYPHEN}]", "-"),
    (r"\N{SUPERSCRIPT ONE}", "1"),
    (r"\N{SUPERSCRIPT TWO}", "2"),
    (r"\N{SUPERSCRIPT THREE}", "3"),
    (r"[\N{MIDDLE DOT}\N{DOT OPERATOR}\N{BULLET}\N{BULLET OPERATOR}\N{MULTIPLICATION SIGN}*]", " "),
    (r"\N{PER MILLE SIGN}|\bper ?mil(le?)?\b", "permille"),
    (r"\b(wt|w/w|mass|weight)\.?[ -]*%|%[ -]*(C\b|by (weight|mass)|\(?w/w\)?|wt\.?)", "%"),
    (r"\b(dry weight|dry mass|dry matter|dry soil|soil|dry|dw|d\.w\.|dm)(?!\w)", " "),
    (r"(?<=[A-Za-z])\.(?=[A-Za-z])", " "),
    (r"\bKg\b", "kg"),
    (r"^\s*((?:k|h|da|d|c|m|u|n|M)?g|t)[ -]?(?:C|OC|SOC|TOC)\b", r"\1 "),
    (r"\(?\b100 ?g\)?", "hg"),
    (r"\bper\b", "/"),
    (r"([A-Za-z])\s*(?:\^|\*\*)?\s*\(?([-+]?[0-9]+)\)?", r"\1**\2"),
)


def factor_to_g_per_kg(unit: str, *, key: str = "data.units") -> float:
    """Return the number by which a concentration is multiplied to be in g per kg of soil.

    Parameters
    ----------
    unit : str
        For example ``g/kg``, ``g kg-1``, ``mg·g⁻¹``, ``µg/g``, ``%``, ``g/100 g``. C after the first unit
        (``g C kg-1``) and soil, dry or dw after the second are understood.
    key : str
        Key of the specification that holds the unit, for the error.

    Returns
    -------
    float
        1 for g/kg, 0.001 for mg/kg, 10 for %.

    Raises
    ------
    SpecificationError
        If the unit is unknown, is not a mass of carbon per mass of soil, or is a stock per area or per volume.

    Examples
    --------
    >>> factor_to_g_per_kg("mg kg-1")
    0.001
    """
    registry, text = _registry(), _spelt_for_pint(unit)
    if not re.fullmatch(_PRODUCT, text):
        raise SpecificationError(f"the unit {unit!r} is unknown; use {ACCEPTED}", key)
    try:
        quantity = registry.Quantity(1.0, registry.parse_units(text))
    except pint.UndefinedUnitError as unknown:
        raise SpecificationError(f"the unit {unit!r} is unknown; use {ACCEPTED}", key) from unknown
    dimension = dict(quantity.dimensionality)
    if dimension == {"[mass]": 1, "[length]": -2}:
        raise SpecificationError(
            f"{unit!r} is a stock per area; stocks come in a later version, give concentrations: {ACCEPTED}", key
        )
    if dimension == {"[mass]": 1, "[length]": -3}:
        raise SpecificationError(
            f"{unit!r} is a mass per volume and needs the bulk density; give concentrations: {ACCEPTED}", key
        )
    if dimension or not all(_of_mass(name) for name, _ in quantity.unit_items()):
        raise SpecificationError(f"{unit!r} is not a mass of carbon per mass of soil; use {ACCEPTED}", key)
    factor = float(f"{quantity.to('g/kg').magnitude:.12g}")
    if factor > _LARGEST:
        raise SpecificationError(f"{unit!r} would be more than pure carbon; use {ACCEPTED} (mg is not Mg)", key)
    return factor


def _of_mass(name: str) -> bool:
    """Tell a mass or a fraction from what pint takes for dimensionless, too: angles, bits, counts."""
    return name in _FRACTIONS or dict(_registry().get_dimensionality(name)) == {"[mass]": 1}


@cache
def _registry() -> "pint.UnitRegistry[float]":
    return pint.UnitRegistry()


def _spelt_for_pint(unit: str) -> str:
    """Return the unit with products, quotients and powers written out."""
    text = unit.strip().strip("()[]")
    for pattern, spelling in _SPELLINGS:
        text = re.sub(pattern, spelling, text)
    return re.sub(r"\s+", "*", re.sub(r"\s*/\s*", "/", text.strip()))
