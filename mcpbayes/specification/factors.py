"""Conversion factors of amino sugars: sets with names and sources, and sets of one's own (``[data.factors]``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.fields import Check, joined, number, one_of, read, table, text

CONVENTIONAL: Final = "conventional"
UNCERTAIN: Final = "uncertain"
HU2024: Final = "hu2024"
OWN: Final = "own"

#: Key in the file → field of `FactorSet`.
SYMBOLS: Final = MappingProxyType({"k_B": "k_b", "k_F": "k_f", "rho_b": "rho_b"})
#: Keys that a set of one's own brings.
OWN_KEYS: Final = (*SYMBOLS, "source")

_POSITIVE = number("(0, inf)")
#: Distribution → the names of its numbers in the file: middle, spread.
_NUMBERS: Final = MappingProxyType({"lognormal": ("median", "sd_log"), "normal": ("mean", "sd")})


@dataclass(frozen=True)
class Factor:
    """One conversion factor: a number, or a distribution over positive numbers.

    Parameters
    ----------
    middle : float
        The number; the median of a lognormal; the mean of a normal before it is truncated at zero.
    spread : float
        0 for a number; standard deviation of the logarithm (lognormal) or before truncation (normal).
    distribution : {"fixed", "lognormal", "normal"}
    """

    middle: float
    spread: float = 0.0
    distribution: str = "fixed"


@dataclass(frozen=True)
class FactorSet:
    """The factors that turn amino sugars into necromass carbon.

    Parameters
    ----------
    name : str
        ``conventional``, ``uncertain``, ``hu2024`` or ``own``.
    k_b : Factor
        k_B, mass of bacterial carbon per mass of muramic acid.
    k_f : Factor
        k_F, mass of fungal carbon per mass of fungal glucosamine.
    rho_b : Factor
        ϱ_b, moles of glucosamine per mole of muramic acid in bacteria.
    source : str
        Where they come from.
    """

    name: str
    k_b: Factor
    k_f: Factor
    rho_b: Factor
    source: str

    @property
    def fixed(self) -> bool:
        """Whether no factor has a spread."""
        return all(factor.distribution == "fixed" for factor in (self.k_b, self.k_f, self.rho_b))


#: Sets that a file may name.
NAMED: Final[Mapping[str, FactorSet]] = MappingProxyType(
    {
        CONVENTIONAL: FactorSet(
            CONVENTIONAL,
            Factor(45.0),
            Factor(9.0),
            Factor(2.0),
            "45 and 9: Appuhn & Joergensen 2006; 2 mol of glucosamine per mol of muramic acid: Engelking et al. 2007; "
            "in use: Joergensen 2018 (doi:10.1007/s00374-018-1288-3), Liang et al. 2019 (doi:10.1111/gcb.14781)",
        ),
        UNCERTAIN: FactorSet(
            UNCERTAIN,
            Factor(34.0, 0.3, "lognormal"),
            Factor(10.0, 0.12, "lognormal"),
            Factor(2.0, 0.5, "normal"),
            "our judgement of measured contents of muramic acid and glucosamine in cultures of bacteria and fungi; the "
            "conventional 45 and 9 lie inside (benchmarks/conversion_factors.py)",
        ),
        HU2024: FactorSet(
            HU2024,
            Factor(31.3),
            Factor(10.8),
            # a mass ratio of 1.16 as moles
            Factor(1.16 * 251.23 / 179.17),
            "Hu et al. 2024: 31.3 and 10.8, mass of glucosamine per mass of muramic acid in bacteria 1.16",
        ),
    }
)


def check_set(value: object, key: str) -> FactorSet:
    """Accept ``[data.factors]``: the name of a set, or ``set = "own"`` with numbers.

    Raises
    ------
    SpecificationError
        Numbers beside a named set that are not its own, an own set that lacks one, a distribution that is not known.
    """
    checks: dict[str, Check] = {"set": one_of(*NAMED, OWN), **dict.fromkeys(SYMBOLS, _factor), "source": text}
    found = read(value, key, checks, ("set",))
    name = found.pop("set")
    if name != OWN:
        for symbol, value in found.items():
            if value != getattr(NAMED[name], SYMBOLS.get(symbol, symbol)):
                raise SpecificationError(
                    f"the set {name!r} has its own numbers; numbers of yours go with set = {OWN!r}", joined(key, symbol)
                )
        return NAMED[name]
    if absent := [symbol for symbol in SYMBOLS if symbol not in found]:
        raise SpecificationError(f"a set of your own needs {' and '.join(absent)}", key)
    factors = {field: found[symbol] for symbol, field in SYMBOLS.items()}
    return FactorSet(OWN, **factors, source=found.get("source", "no source given"))


def written_set(factors: FactorSet) -> dict[str, Any]:
    """Return a set as its table in a file, with its numbers: a file on record says what they were."""
    numbers = {symbol: _written(getattr(factors, field)) for symbol, field in SYMBOLS.items()}
    return {"set": factors.name, **numbers, "source": factors.source}


def _factor(value: object, key: str) -> Factor:
    """Accept a positive number, or a table with a distribution and its numbers."""
    if not isinstance(value, Mapping):
        return Factor(_POSITIVE(value, key))
    distribution = one_of(*_NUMBERS)(table(value, key).get("distribution"), joined(key, "distribution"))
    names = _NUMBERS[distribution]
    checks: dict[str, Check] = {"distribution": text, **dict.fromkeys(names, _POSITIVE)}
    found = read(value, key, checks, names)
    return Factor(found[names[0]], found[names[1]], distribution)


def _written(factor: Factor) -> float | dict[str, Any]:
    if factor.distribution == "fixed":
        return factor.middle
    middle, spread = _NUMBERS[factor.distribution]
    return {"distribution": factor.distribution, middle: factor.middle, spread: factor.spread}
