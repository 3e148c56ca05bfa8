"""Help for the tests of figures: results to draw, and the boxes of their texts."""

from functools import lru_cache
from itertools import combinations

import fakes
import numpy as np
import xarray as xr
from matplotlib.axes._base import _AxesBase
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.scenarios import classify
from mcpbayes.output.plots import gallery
from mcpbayes.specification.loading import load_model, to_toml

SIX = ("manure", "straw return", "biochar", "no tillage", "mineral fertiliser", "cover crop")


@lru_cache
def classified(
    kinds: tuple[str, ...] = SIX[:2], studies: int = 5, settings: tuple[str, ...] = (), names: tuple[str, ...] = ()
) -> xr.DataTree:
    """A fake result with groups delta_mcp and scenario; `names` replaces the first studies' names."""
    specification = to_toml(load_model("arm-based", settings=settings))
    result = fakes.fake_result(kinds=kinds, studies=studies, draws=100, specification=specification)
    return classify(delta_mcp(renamed(result, dict(zip(result["data"]["study"].values, names, strict=False)))))


@lru_cache
def drawn(name: str, kinds: tuple[str, ...] = SIX[:2], studies: int = 5) -> Figure:
    """A figure of the gallery, drawn once for all tests that only look at it."""
    figure = getattr(gallery, name)(classified(kinds, studies))
    assert isinstance(figure, Figure)
    return figure


def renamed(result: xr.DataTree, names: dict[str, str]) -> xr.DataTree:
    """The result with other names of studies, also within the names of their controls and comparisons."""

    def new(value: str) -> str:
        study, colon, rest = str(value).partition(":")
        return names.get(study, study) + colon + rest

    def change(node: xr.Dataset) -> xr.Dataset:
        out = node.copy()
        for key in out.variables:
            if out[key].dtype.kind in "OUT" and key not in ("treatment", "kind_of_comparison", "kind"):
                out[key] = (out[key].dims, np.array([new(v) for v in out[key].values.ravel()]).reshape(out[key].shape))
        return out

    tree = xr.DataTree.from_dict({name: change(node.to_dataset()) for name, node in result.children.items()})
    tree.attrs = dict(result.attrs)
    return tree


def texts(figure: Figure, gid: str | None = None) -> list[Text]:
    """All texts of a figure that are seen, or those of one group id."""
    hidden = {id(label) for axes in figure.findobj(_AxesBase) for label in _beyond(axes)}
    seen = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and id(t) not in hidden]
    return [t for t in seen if gid is None or t.get_gid() == gid]


def _beyond(axes: _AxesBase) -> list[Text]:
    """Labels of ticks beyond the limits, which Matplotlib keeps but does not draw."""
    found = []
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        beyond = [t for t in axis.get_major_ticks() if not low <= t.get_loc() <= high or not axes.axison]
        found += [label for tick in beyond for label in (tick.label1, tick.label2)]
    return found


def words_of(figure: Figure, gid: str | None = None) -> list[str]:
    return [t.get_text().replace("\N{NO-BREAK SPACE}", " ") for t in texts(figure, gid)]


def box(text: Text) -> Bbox:
    return text.get_window_extent(text.figure.canvas.get_renderer())


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes intersect; a pixel of touching is none. Slanted texts are left to their own test."""
    boxes = [(t.get_text(), box(t).padded(-1.0)) for t in texts(figure) if t.get_rotation() in (0, 90)]
    inside = [(text, b) for text, b in boxes if b.width > 0 and b.height > 0]
    return [(one, other) for (one, a), (other, b) in combinations(inside, 2) if a.overlaps(b)]


def outside(figure: Figure) -> list[str]:
    """Texts that the edge of the figure cuts."""
    whole = figure.bbox.padded(1.0)
    boxes = [(t.get_text(), box(t)) for t in texts(figure)]
    return [t for t, b in boxes if b.x0 < whole.x0 or b.y0 < whole.y0 or b.x1 > whole.x1 or b.y1 > whole.y1]
