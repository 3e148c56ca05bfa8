"""The figures, as `mcpbayes.plots`: each takes a result and returns a Matplotlib figure; nothing is shown or written.

* `scenario_plane`: joint posterior of both effects on the plane of the scenarios; needs `delta_mcp`.
* `forest`: effects on both pools and ΔMCP, kinds and studies, with intervals; needs `delta_mcp`.
* `scenario_bars`: probability of every scenario class beside its prior probability; needs `classify`.
* `densities`: posterior of ΔMCP with the probability of a rise and of a fall; needs `delta_mcp`.
* `influence`: the change of the ratio without each study; needs `leave_one_study_out`.
* `caption`: one or two sentences for each of them.
* `as_png`, `as_svg`: a figure as the content of a file, the same bytes for the same figure.
"""

from mcpbayes.output.plots.captions import caption
from mcpbayes.output.plots.densities import densities
from mcpbayes.output.plots.forest import forest
from mcpbayes.output.plots.influence import influence
from mcpbayes.output.plots.scenario_bars import scenario_bars
from mcpbayes.output.plots.scenario_plane import scenario_plane
from mcpbayes.output.plots.style import as_png, as_svg

__all__ = ["as_png", "as_svg", "caption", "densities", "forest", "influence", "scenario_bars", "scenario_plane"]
