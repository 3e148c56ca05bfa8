"""The figures, as `mcpbayes.plots`: each takes a result and returns a Matplotlib figure; nothing is shown or written.

* `scenario_plane`: joint posterior of both effects on the plane of the scenarios; needs `delta_mcp`.
* `scenario_wheel`: probability of every class in ring order round the steady state; needs `classify`.
* `forest`: effects on both pools and ΔMCP, kinds and studies, with intervals; needs `delta_mcp`.
* `scenario_bars`: probability of every scenario class beside its prior probability; needs `classify`.
* `tolerance_sweep`: the same at tolerances of 0 to 10 %; needs `classify`.
* `scenarios_along`: the same along a moderator; needs `classify`.
* `densities`: posterior of ΔMCP with the probability of a rise and of a fall; needs `delta_mcp`.
* `influence`: the change of the ratio without each study; needs `leave_one_study_out`.
* `model_scenarios`: the catalogue of model scenarios, a panel each; needs no result.
* `trajectories`: both pools and ΔMCP over the years; needs `forecast`.
* `scenario_path`: the way through the scenario plane, years marked; needs `forecast`.
* `scenarios_over_time`: probability of every class over the years; needs `forecast`.
* `prior_trajectories`: what the priors of the two-pool model expect over the years; needs no result.
* `caption`: some sentences for each figure of a report.
* `as_png`, `as_svg`: a figure as the content of a file, the same bytes for the same figure.
"""

from mcpbayes.output.plots.captions import caption
from mcpbayes.output.plots.class_curves import scenarios_along, tolerance_sweep
from mcpbayes.output.plots.densities import densities
from mcpbayes.output.plots.forest import forest
from mcpbayes.output.plots.influence import influence
from mcpbayes.output.plots.model_scenarios import model_scenarios
from mcpbayes.output.plots.prior_trajectories import prior_trajectories
from mcpbayes.output.plots.scenario_bars import scenario_bars
from mcpbayes.output.plots.scenario_path import scenario_path
from mcpbayes.output.plots.scenario_plane import scenario_plane
from mcpbayes.output.plots.scenario_wheel import scenario_wheel
from mcpbayes.output.plots.scenarios_over_time import scenarios_over_time
from mcpbayes.output.plots.style import as_png, as_svg
from mcpbayes.output.plots.trajectories import trajectories

__all__ = [
    "as_png",
    "as_svg",
    "caption",
    "densities",
    "forest",
    "influence",
    "model_scenarios",
    "prior_trajectories",
    "scenario_bars",
    "scenario_path",
    "scenario_plane",
    "scenario_wheel",
    "scenarios_along",
    "scenarios_over_time",
    "tolerance_sweep",
    "trajectories",
]
