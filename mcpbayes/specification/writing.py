"""A `Specification` as the plain tables that its TOML file holds."""

from collections.abc import Mapping
from typing import Any

from mcpbayes.specification.factors import written_set
from mcpbayes.specification.structure import DataSection, Prior, Scheme, Specification


def plain(spec: Specification) -> dict[str, Any]:
    """Return every key of a specification, resolved; `validation.validate` makes an equal one of it."""
    return {
        "schema": spec.schema,
        "name": spec.name,
        "title": spec.title,
        "family": spec.family,
        "data": _data(spec.data),
        "moderators": dict(vars(spec.moderators)),
        "levels": dict(vars(spec.levels)),
        "priors": _priors(spec.priors),
        "delta_mcp": {"reference": "observed" if spec.reference is None else spec.reference},
        "scenarios": _scenarios(spec.scenarios),
        "sampling": {key: "auto" if value is None else value for key, value in vars(spec.sampling).items()},
        "summary": dict(vars(spec.summary)),
    }


def _data(data: DataSection) -> dict[str, Any]:
    n = data.defaults.n
    sheet = {} if data.sheet is None else {"sheet": data.sheet}
    return {
        "layout": data.layout,
        "outcomes": list(data.outcomes),
        **sheet,
        "necromass_from": data.necromass_from,
        "columns": dict(data.columns),
        "units": dict(data.units),
        "defaults": {
            "n": int(n) if n == int(n) else n,
            "cv": dict(data.defaults.cv),
            "rho_within": data.defaults.rho_within,
            "rho_amino_sugars": data.defaults.rho_amino_sugars,
        },
        "factors": written_set(data.factors),
        "dispersion": {"sd_model": data.sd_model},
        "effect_size": {"bias_correction": data.bias_correction},
        "kinds": dict(data.kinds),
    }


def _priors(priors: Mapping[str, Prior]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for key, prior in priors.items():
        role, _, coefficient = key.partition(".")
        numbers = {
            name: dict(value) if isinstance(value, Mapping) else value for name, value in prior.parameters.items()
        }
        why = {} if prior.why is None else {"why": prior.why}
        update = {"update": True} if prior.update else {}
        entry = {"distribution": prior.distribution, **numbers, **update, **why}
        tables.setdefault(role, {}).update({coefficient: entry} if coefficient else entry)
    return tables


def _scenarios(scheme: Scheme) -> dict[str, Any]:
    return {
        "tolerance_percent": dict(scheme.tolerance_percent),
        **({"tolerance_points": dict(scheme.tolerance_points)} if scheme.tolerance_points else {}),
        "decide_at": scheme.decide_at,
        "labels": dict(scheme.labels),
        "merge": {code: list(members) for code, members in scheme.merge.items()},
    }
