"""Units of concentrations and stocks, as papers and spreadsheets spell them, in g per kg of dry soil and Mg per ha."""

import re
from functools import cache
from typing import TYPE_CHECKING, Final

from mcpbayes.errors import SpecificationError

if TYPE_CHECKING:
    import pint

#: What concentrations and stocks are analysed in.
CONCENTRATION: Final = "g/kg"
STOCK: Final = "Mg/ha"
ACCEPTED: Final = "g/kg (also g kg-1, mg/g), mg/kg (ug/g), % (g/100g)"
ACCEPTED_STOCKS: Final = "Mg/ha (t/ha), kg/m2, g/m2"

#: Nothing weighs more than itself: a factor above that of kg/kg is a misspelt unit (Mg for mg).
_LARGEST: Final = 1000.0
#: A square metre of soil holds no tonne of carbon, and nobody weighs what a hectare holds in mg: Mg for mg again.
_STOCKS: Final = (1e-5, 1000.0)

#: Units and powers with * or / between them; anything else never reaches pint.
_PRODUCT: Final = r"[A-Za-z%]+(\*\*[-+]?[0-9])?([*/][A-Za-z%]+(\*\*[-+]?[0-9])?)*"
#: Stands for 100 g once spelt for pint; nobody writes it, but for kg.
_HECTOGRAM: Final = r"(?<![A-Za-z])hg(?![a-z])"
_FRACTIONS: Final = ("percent", "permille", "ppm")
#: What the mass is of, as it stands after the first unit.
_POOLS: Final = "(?:necromass|microbial|residue|MNC|MRC|FNC|BNC)? ?(?:C|OC|SOC|TOC)|necromass|MNC|MRC|FNC|BNC"

#: Spellings pint does not read → ones it reads, applied in this order to the text.
_SPELLINGS: Final = (
    (r"[\N{GREEK SMALL LETTER MU}\N{MICRO SIGN}]", "u"),
    (r"[\N{SUPERSCRIPT MINUS}\N{MINUS SIGN}\N{EN DASH}\N{NON-BREAKING HYPHEN}]", "-"),
    (r"\N{SUPERSCRIPT ONE}", "1"),
    (r"\N{SUPERSCRIPT TWO}", "2"),
    (r"\N{SUPERSCRIPT THREE}", "3"),
    (r"[\N{MIDDLE DOT}\N{DOT OPERATOR}\N{BULLET}\N{BULLET OPERATOR}\N{MULTIPLICATION SIGN}*]", " "),
    (r"\$?\^\{(-?[0-9])\}\$?", r"\1"),
    (r"\N{PER MILLE SIGN}|\bper ?mil(le)?\b", "permille"),
    (r"\bper ?cent\b|\bpct\b", "%"),
    (r"\b(wt|w/w|mass|weight)\.?[ -]*%|%[ -]*(C\b|by (weight|mass)|\(?w/w\)?|wt\.?)", "%"),
    (r"(?i)\(?\b(dry (weight|mass|matter|soil|wt\.?)|soil|dry|dw|d\.w\.|dm)(?!\w)", " "),
    (r"(?<=[A-Za-z])\.(?=[A-Za-z])", " "),
    (r"\bKg\b", "kg"),
    (r"\b([mu]?g)(?=kg\b|kg ?-)", r"\1 "),
    (rf"^\s*((?:k|h|da|d|c|m|u|n|M)?g|t|tons?|tonnes?)[ -]?\(?(?:{_POOLS})\)?(?![a-z])", r"\1 "),
    (r"\(?\b100 ?g\)?", "hg"),
    (r"[()]", " "),
    (r"\b(metric )?(tons?|tonnes?)\b(?=.*\b(ha|hm|hectare))", "t"),
    (r"\bper\b", "/"),
    (r"([A-Za-z])\s*(?:\^|\*\*)?\s*([-+]? ?[0-9]+)", lambda found: f"{found[1]}**{found[2].replace(' ', '')}"),
)


def canonical_unit(unit: str, *, key: str = "data.units") -> tuple[float, str]:
    """Return what a concentration or a stock is multiplied by, and the unit that it is in then.

    Parameters
    ----------
    unit : str
        For example ``g/kg``, ``g kg-1``, ``mg·g⁻¹``, ``µg/g``, ``%``, ``g/100 g``, ``Mg/ha``, ``t C ha-1``, ``kg m-2``.
        C after the first unit (``g C kg-1``) and soil, dry or dw after the second are understood.
    key : str
        Key of the specification that holds the unit, for the error.

    Returns
    -------
    factor : float
        1 for g/kg, 0.001 for mg/kg, 10 for %; 1 for Mg/ha, 10 for kg/m2.
    unit : str
        ``g/kg`` or ``Mg/ha``.

    Raises
    ------
    SpecificationError
        If the unit is unknown, is neither a mass of carbon per mass of soil nor one per area, or is one per volume.

    Examples
    --------
    >>> canonical_unit("kg C m-2")
    (10.0, 'Mg/ha')
    """
    if unit in (CONCENTRATION, STOCK):
        return 1.0, unit
    quantity = _quantity(unit, key)
    dimension = dict(quantity.dimensionality)
    if dimension == {"[mass]": 1, "[length]": -2}:
        factor = float(f"{quantity.to(STOCK).magnitude:.12g}")
        if not _STOCKS[0] <= factor <= _STOCKS[1]:
            raise SpecificationError(f"{unit!r} is no stock of soils; use {ACCEPTED_STOCKS} (mg is not Mg)", key)
        return factor, STOCK
    if dimension == {"[mass]": 1, "[length]": -3}:
        raise SpecificationError(
            f"{unit!r} is a mass per volume and needs the bulk density; give concentrations: {ACCEPTED}", key
        )
    if dimension or not all(_of_mass(name) for name, _ in quantity.unit_items()):
        raise SpecificationError(
            f"{unit!r} is not a mass of carbon per mass of soil, nor per area; use {ACCEPTED}, or {ACCEPTED_STOCKS}",
            key,
        )
    factor = float(f"{quantity.to(CONCENTRATION).magnitude:.12g}")
    if factor > _LARGEST:
        raise SpecificationError(f"{unit!r} would be more than pure carbon; use {ACCEPTED} (mg is not Mg)", key)
    return factor, CONCENTRATION


def _quantity(unit: str, key: str) -> "pint.Quantity[float]":
    """Return one of a unit."""
    import pint  # slow to import, and tables in g/kg have no use for it

    text = _spelt_for_pint(unit)
    unknown = SpecificationError(f"the unit {unit!r} is unknown; use {ACCEPTED}, or {ACCEPTED_STOCKS}", key)
    if not re.fullmatch(_PRODUCT, text) or re.search(_HECTOGRAM, unit):
        raise unknown
    registry = _registry()
    try:
        return registry.Quantity(1.0, registry.parse_units(text))
    except pint.UndefinedUnitError as undefined:
        raise unknown from undefined


def _of_mass(name: str) -> bool:
    """Tell a mass or a fraction from what pint takes for dimensionless, too: angles, bits, counts."""
    return name in _FRACTIONS or dict(_registry().get_dimensionality(name)) == {"[mass]": 1}


@cache
def _registry() -> "pint.UnitRegistry[float]":
    import pint

    return pint.UnitRegistry()


def _spelt_for_pint(unit: str) -> str:
    """Return the unit with products, quotients and powers written out."""
    text = unit.strip().strip("()[]")
    for pattern, spelling in _SPELLINGS:
        text = re.sub(pattern, spelling, text)
    return re.sub(r"\s+", "*", re.sub(r"\s*/\s*", "/", text.strip()))
