"""Hierarchical Bayesian meta-analysis of the soil microbial carbon pump.

Begin with `analyse`, or walk the road yourself::

    import mcpbayes as mb

    table = mb.read_table("pairs.csv")
    model = mb.load_model("arm-based")
    arms = mb.prepare(table, model)
    result = mb.fit(arms, model, seed=1)
    result = mb.delta_mcp(result)
    result = mb.classify(result)
    mb.summarise(result)
    mb.plots.scenario_plane(result)

Verbs are loaded when first used, so that ``import mcpbayes`` costs nothing.
"""

from importlib import import_module
from typing import Any, Final

__version__ = "0.1.0"

#: Public name → module that defines it.
_HOMES: Final = {
    "read_table": "mcpbayes.tables.reading",
    "read_example": "mcpbayes.tables.example",
    "import_sndb": "mcpbayes.tables.importers.sndb",
    "import_amino_sugars": "mcpbayes.tables.importers.amino_sugars",
    "import_escalc": "mcpbayes.tables.importers.escalc",
    "check_table": "mcpbayes.tables.arms",
    "prepare": "mcpbayes.tables.arms",
    "load_model": "mcpbayes.specification.loading",
    "list_models": "mcpbayes.specification.catalogue",
    "read_card": "mcpbayes.specification.catalogue",
    "fit": "mcpbayes.inference.engine",
    "simulate": "mcpbayes.inference.simulation",
    "simulate_two_pools": "mcpbayes.inference.two_pool_simulation",
    "delta_mcp": "mcpbayes.estimands.change",
    "classify": "mcpbayes.estimands.scenarios",
    "forecast": "mcpbayes.estimands.forecast",
    "model_scenarios": "mcpbayes.estimands.model_scenarios",
    "model_scenario_table": "mcpbayes.estimands.model_scenarios",
    "tolerance_sweep": "mcpbayes.estimands.curves",
    "scenarios_along": "mcpbayes.estimands.curves",
    "decide": "mcpbayes.estimands.decision",
    "sentence": "mcpbayes.estimands.decision",
    "interpret": "mcpbayes.output.interpretation",
    "diagnose": "mcpbayes.evidence.diagnostics",
    "assumptions": "mcpbayes.evidence.assumptions",
    "factor_sets": "mcpbayes.evidence.factor_sets",
    "variance_shares": "mcpbayes.evidence.variance_shares",
    "leave_one_study_out": "mcpbayes.evidence.influence",
    "summarise": "mcpbayes.output.summary",
    "scenario_table": "mcpbayes.output.summary",
    "forecast_table": "mcpbayes.output.forecast_tables",
    "forecast_scenario_table": "mcpbayes.output.forecast_tables",
    "crossing_table": "mcpbayes.output.forecast_tables",
    "forecast_share_table": "mcpbayes.output.forecast_tables",
    "turnover_sensitivity": "mcpbayes.output.forecast_turnover",
    "share_table": "mcpbayes.output.summary",
    "comparison_table": "mcpbayes.output.comparisons",
    "influence_table": "mcpbayes.output.influence",
    "compare_models": "mcpbayes.output.model_comparison",
    "save": "mcpbayes.output.folder",
    "load": "mcpbayes.output.folder",
    "analyse": "mcpbayes.analysis",
}

__all__ = ["__version__", "plots", *_HOMES]  # noqa: F822  (resolved by __getattr__)


def __getattr__(name: str) -> Any:
    if name == "plots":
        return import_module("mcpbayes.output.plots.gallery")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mcpbayes' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
