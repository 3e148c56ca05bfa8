import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import lettering, style

#: Linear RGB as seen with a missing type of cone (Machado, Oliveira & Fernandes 2009, doi:10.1109/TVCG.2009.113).
VISION = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def seen_as(colours, vision):
    """CIE L*a*b* (D65) of colours as a kind of vision sees them."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(VISION[vision]).T, 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ to_xyz.T / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def test_the_palette_has_one_colour_per_scenario_in_ring_order():
    assert tuple(style.PALETTE) == words.SCENARIOS


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("colours", [tuple(style.PALETTE.values()), (style.RISE, style.STAY, style.FALL), style.INKS])
def test_colours_are_told_apart_by_every_colour_vision(colours, vision):
    lab = seen_as(colours, vision)
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)[np.triu_indices(len(lab), 1)]
    assert distance.min() > 15  # about 2.3 is just noticeable


def test_neighbours_on_the_ring_contrast_for_every_colour_vision():
    ring = list(style.PALETTE.values())[:12]
    for vision in VISION:
        lab = seen_as(ring, vision)
        assert np.linalg.norm(lab - np.roll(lab, 1, axis=0), axis=1).min() > 20


def test_a_merged_class_takes_the_colour_of_its_first_member():
    assert style.colour_of("up", {"up": ("N+C0r+", "N+C+r+")}) == style.PALETTE["N+C0r+"]
    assert style.colour_of("N-C-r0", {}) == style.PALETTE["N-C-r0"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("王小明 2020", "□□□ 2020"),
        ("  two\n lines\t", "two lines"),
        ("Müller & <b>Søn</b> $x^2$", "Müller & <b>Søn</b> $x^2$"),
    ],
)
def test_names_become_one_line_that_the_font_can_print(name, shown):
    assert lettering.plain(name) == shown


@given(st.text(max_size=60), st.integers(1, 30))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_shortened_name_is_never_longer_than_asked(name, most):
    shown = lettering.shorten(name, most)
    assert len(shown) <= most
    assert shown == lettering.plain(name) or shown.endswith("…")


def test_a_fitted_name_is_as_long_as_the_width_allows():
    name = "W" * 80
    shown = lettering.fit(name, 1.0, 8)
    assert lettering.text_width(shown, 8) <= 1.0 < lettering.text_width("W" + shown, 8)
    assert lettering.fit("short", 1.0, 8) == "short"


def test_wrapped_lines_keep_to_the_width_and_lose_no_word():
    text = "a word and WWWWW another 95 % " * 20
    lines = lettering.wrap(text.strip(), 2.0, 7).split("\n")
    assert " ".join(lines).replace("\N{NO-BREAK SPACE}", " ") == text.strip()
    assert not any(line.startswith("%") for line in lines)
    assert all(lettering.text_width(line, 7) <= 2.0 for line in lines)
    assert lettering.text_width(" ".join(lines[:2]), 7) > 2.0


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(3.14, 1, "+3.1"), (-3.14, 0, "\N{MINUS SIGN}3"), (-0.04, 1, "0.0"), (0.4, 0, "0"), (np.nan, 1, "–")],
)
def test_numbers_carry_their_sign_and_zero_has_none(value, digits, shown):
    assert lettering.signed(value, digits) == shown


def test_a_log_ratio_is_printed_as_percent_change():
    assert lettering.percent(np.log(1.5)) == "+50"
    assert lettering.percent(np.log(0.75)) == "\N{MINUS SIGN}25"


@pytest.mark.parametrize(("value", "shown"), [(0.0, "<1"), (0.0049, "<1"), (0.456, "46"), (0.9951, ">99"), (1, ">99")])
def test_draws_never_claim_certainty(value, shown):
    assert lettering.probability(value) == shown


@given(st.floats(-2, 1.5), st.floats(0.1, 3), st.integers(3, 8))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_percent_ticks_lie_inside_and_apart_and_say_what_they_mark(low, width, most):
    high = low + width
    at, labels = style.percent_ticks(low, high, most)
    assert all(low < tick < high for tick in at)
    assert np.all(np.diff(at) >= width / most - 1e-12)
    changes = [float(label.replace("\N{MINUS SIGN}", "-")) for label in labels]
    assert np.allclose(np.log1p(np.array(changes) / 100), at)
    if low + 0.03 * width < 0 < high - 0.03 * width:
        assert "0" in labels


def test_drawing_ignores_the_users_settings_and_restores_them():
    with matplotlib.rc_context({"font.size": 33.0, "text.parse_math": True}):
        with style.drawing():
            figure = style.picture(2, 2)
            text = figure.text(0.5, 0.5, "cost in $ and $")
        assert matplotlib.rcParams["font.size"] == 33.0
    assert text.get_fontsize() == 8.0
    assert not text.get_parse_math()


def test_files_of_one_figure_are_the_same_bytes_and_hold_no_date():
    with style.drawing():
        figure = style.picture(2, 2)
        style.panel(figure, 0.5, 0.5, 1, 1).plot([0, 1], [0, 1])
    assert style.as_svg(figure) == style.as_svg(figure)
    assert "<dc:date>" not in style.as_svg(figure)
    assert style.as_png(figure) == style.as_png(figure)
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_gallery_does_not_import_pyplot():
    code = "import sys, mcpbayes; mcpbayes.plots.forest; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
