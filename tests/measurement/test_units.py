import re
import subprocess
import sys

import pytest

from mcpbayes.errors import SpecificationError
from mcpbayes.measurement.units import canonical_unit


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        *((unit, 1.0) for unit in ("g/kg", "g kg-1", "g kg^-1", "g kg**-1", "g·kg⁻¹", "g kg\N{MINUS SIGN}1")),
        *((unit, 1.0) for unit in (" g / kg ", "(g/kg)", "g per kg", "g.kg-1", "g Kg-1", "mg/g", "mg g-1", "kg/t")),
        *((unit, 1.0) for unit in ("gC/kg", "g C kg-1", "g C kg-1 soil", "mg SOC g-1 dry soil", "g/kg dw")),
        *(
            (unit, 1.0)
            for unit in ("g·kg-1 DW", "gkg-1", "g kg - 1", "g kg⁻¹ dry wt", "g kg-1 (dry soil)", "mg C g^{-1}")
        ),
        *((unit, 1.0) for unit in ("g C (kg soil)-1", "g(C) kg-1", "mg necromass C g-1 soil", "g MNC kg-1")),
        *((unit, 1.0) for unit in ("‰", "permil", "per mille", "g\N{NO-BREAK SPACE}kg\N{EN DASH}1")),
        *((unit, 0.001) for unit in ("mg/kg", "mg kg-1", "mg C kg-1", "ppm", "ug/g")),
        *((unit, 0.001) for unit in ("\N{MICRO SIGN}g/g", "\N{GREEK SMALL LETTER MU}g g-1", "µg·g⁻¹")),
        *(
            (unit, 10.0)
            for unit in (
                "%",
                "percent",
                "per cent",
                "pct",
                "weight percent",
                "wt%",
                "% w/w",
                "% C",
                "g/100g",
                "g/100 g",
                "g (100 g)-1",
                "dag/kg",
            )
        ),
        *((unit, 1000.0) for unit in ("kg/kg", "g/g")),
    ],
)
def test_spellings_met_in_papers(unit, factor):
    assert canonical_unit(unit) == (factor, "g/kg")


STOCKS = [
    *(
        (unit, 1.0)
        for unit in ("Mg/ha", "t ha-1", "t C ha-1", "Mg C ha⁻¹", "MgC/ha", "tonnes ha-1", "ton/ha", "t hm-2")
    ),
    *((unit, 10.0) for unit in ("kg/m2", "kg C m-2", "kg m⁻²", "kgC m\N{MINUS SIGN}2")),
    *((unit, 0.01) for unit in ("g m^-2", "g C m⁻²")),
    ("kg/ha", 0.001),
]


@pytest.mark.parametrize(("unit", "factor"), STOCKS)
def test_stocks_are_brought_to_megagrams_per_hectare(unit, factor):
    assert canonical_unit(unit) == (factor, "Mg/ha")


@pytest.mark.parametrize("unit", ["mg/ha", "Mt/ha", "Mg m-2"])
def test_stocks_of_no_soil_are_refused(unit):
    with pytest.raises(SpecificationError, match=r"is no stock of soils; use Mg/ha .*mg is not Mg"):
        canonical_unit(unit)


@pytest.mark.parametrize("unit", ["g/L", "mg cm-3", "kg/m3"])
def test_volumes_need_a_bulk_density(unit):
    with pytest.raises(SpecificationError, match="needs the bulk density"):
        canonical_unit(unit)


@pytest.mark.parametrize("unit", ["nonsense", "", "1", "G/KG", "10 g/kg", "g/kg/", "((", "mg/g SOC", "% SOC", "g+kg"])
def test_unknown_units_name_what_is_accepted(unit):
    expected = rf"^data\.units\.soc: the unit {re.escape(repr(unit))} is unknown; use g/kg .*mg/kg .*%"
    with pytest.raises(SpecificationError, match=expected) as caught:
        canonical_unit(unit, key="data.units.soc")
    assert caught.value.key == "data.units.soc"


@pytest.mark.parametrize("unit", ["kg", "m/s", "Mg C ha-1 yr-1", "degC", "rad", "umol/g", "g kg", "g kg-1 C", "bit"])
def test_other_quantities_are_refused(unit):
    with pytest.raises(SpecificationError, match=r"^data\.units: .* is not a mass of carbon per mass of soil"):
        canonical_unit(unit)


def test_megagrams_are_not_milligrams():
    with pytest.raises(SpecificationError, match=r"more than pure carbon.*mg is not Mg"):
        canonical_unit("Mg/kg")


def test_the_registry_is_made_when_first_needed_and_without_warnings():
    code = (
        "import mcpbayes.measurement.units as units; made = units._registry.cache_info().currsize; "
        "units.canonical_unit('%'); units.canonical_unit('mg/g'); "
        "print(made, units._registry.cache_info().misses)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1"]


@pytest.mark.parametrize("unit", ["g/hg", "mg hg-1", "hg/kg", "g C hg⁻¹"])
def test_a_hectogram_is_taken_for_a_slip(unit):
    with pytest.raises(SpecificationError, match=f"the unit '{unit}' is unknown"):
        canonical_unit(unit)
