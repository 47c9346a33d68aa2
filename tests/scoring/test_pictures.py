"""Do the pictures show what the board says, in looks that everyone can tell apart?"""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from scoring.pictures.curves import curves_picture, window
from scoring.pictures.heat_map import heat_map
from scoring.pictures.hparams import MISSED, Tried, hparams_picture, varying
from scoring.pictures.profile import corners, profile_picture
from scoring.pictures.style import COLOURS, file_name, looks, save, short
from scoring.pictures.tau import tau_picture
from scoring.profile import profile
from scoring.report.runs import curves_of
from tests.support.board import NAMES, WORKLOADS, board, runs

HOSTILE = ("--><script>alert(1)</script>", "$\\frac{x$", "no_logs")


def texts(picture):
    return [text.get_text() for axes in picture.axes for text in axes.texts]


def pictures(names=NAMES):
    it, trials = board(names), runs(names)
    tried = [Tried(run.workload, run.hparams, 0.5) for run in trials]
    return {
        "profile": profile_picture(it),
        "heat_map": heat_map(it),
        "tau": tau_picture(it),
        "curves": curves_picture(it, WORKLOADS[0], curves_of(it, trials, WORKLOADS[0])),
        "hparams": hparams_picture(names[0], tried, [w.name for w in WORKLOADS]),
    }


def test_looks_differ_in_every_way_between_neighbours():
    made = list(looks([str(i) for i in range(200)]).values())
    assert len({(look.colour, str(look.dashes), look.marker) for look in made}) == 200
    for one, other in zip(made, made[1:]):
        assert one.colour != other.colour
        assert one.dashes != other.dashes
        assert one.marker != other.marker


def test_colours_stand_out_from_paper_and_differ_in_a_grey_print():
    def grey(colour):
        return np.dot([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)], [0.299, 0.587, 0.114])

    shades = [grey(colour) for colour in COLOURS]
    assert max(shades) < 0.75
    assert max(shades) - min(shades) > 0.5


@pytest.mark.parametrize("names", [NAMES, HOSTILE], ids=["plain", "hostile"])
def test_every_picture_is_written_as_png_and_svg(tmp_path, names):
    for name, picture in pictures(names).items():
        png, svg = save(picture, tmp_path, name, ("png", "svg"))
        image = imread(png)
        assert image.shape[1] == 1104  # 6.9 inches
        assert (image[..., :3].min(-1) < 0.5).mean() > 0.005, f"{name} is empty"
        assert not [e for e in ElementTree.parse(svg).iter() if e.tag.endswith("script")]


def test_the_same_picture_has_the_same_bytes(tmp_path):
    for folder in ("a", "b"):
        save(heat_map(board()), tmp_path / folder, "x", ("png", "svg"))
    for ending in ("png", "svg"):
        one, other = [(tmp_path / f / f"x.{ending}").read_bytes() for f in ("a", "b")]
        assert one == other


def test_the_heat_map_says_per_cent_of_the_budget_and_why_a_cell_does_not_count():
    shown = texts(heat_map(board()))
    assert shown == ["10", "50", "25", "30", "75‡", "∞", "*", "∞", "11†"]


def test_the_heat_map_explains_the_marks_that_it_uses_and_no_other():
    below = heat_map(board()).get_supxlabel()
    assert all(mark in below for mark in "∞*†‡")
    assert "§" not in below


def test_the_fastest_that_counts_is_bold():
    bold = [text for text in heat_map(board()).axes[0].texts if text.get_weight() == "bold"]
    assert [text.get_text() for text in bold] == ["10", "50", "25"]


def test_a_profile_jumps_where_the_share_of_workloads_does():
    ratios = np.array([1.0, 1.0, 1.7, 2.5, 4.0, np.inf, 5.0, 1.7])
    tau, share = corners(ratios, 4.0)
    assert tau.tolist() == [1.0, 1.7, 2.5, 4.0]
    assert np.array_equal(share, profile(ratios, tau))


def test_the_legend_is_the_ranked_table_with_intervals():
    low, high = np.array([0.9, 0.1, 0.0]), np.array([1.0, 0.3, 0.0])
    (legend,) = profile_picture(board(low=low, high=high)).legends
    rows = [text.get_text() for text in legend.get_texts()]
    assert [row.split()[:3] for row in rows] == [
        ["1", "1.0000", "quick"],
        ["2", "0.1667", "slow_one"],
        ["3", "0.0000", "no_logs"],
    ]
    assert "[0.100, 0.300]" in rows[1]


def test_the_line_of_a_submission_is_its_profile():
    lines = {line.get_color(): line for line in profile_picture(board()).axes[0].lines}
    slow = lines[looks(NAMES)["slow_one"].colour]
    assert slow.get_xdata().tolist() == [1.0, 3.0, 4.0]
    assert slow.get_ydata().tolist() == [0.0, 0.5, 0.5]


def test_tau_curves_pass_through_the_score_at_the_rules_own_tau():
    it = board()
    lines = tau_picture(it).axes[0].lines
    found = sorted(float(np.interp(4.0, *line.get_data())) for line in lines[:3])
    assert found == pytest.approx(sorted(it.scores))


def test_learning_curves_show_target_and_budget_and_end_at_the_target():
    it = board()
    picture = curves_picture(it, WORKLOADS[0], curves_of(it, runs(), WORKLOADS[0]))
    above, below = picture.axes
    assert any("target 0.5" in text for text in texts(picture))
    assert any(text.startswith("budget") for text in texts(picture))
    assert above.get_ylim()[0] < 0.5 < above.get_ylim()[1]
    for line in below.lines[:2]:
        assert line.get_ydata()[-1] < below.get_ylim()[0]  # the target itself is below the frame
        assert line.get_xdata()[-1] <= 110 / 60 * 3


def test_a_window_keeps_the_target_whatever_the_curves_do():
    assert window({}, 3.0)[0] < 3.0 < window({}, 3.0)[1]


def test_dimensions_that_do_not_vary_get_no_panel():
    points = [{"lr": 1, "fixed": 1, "mode": "x"}, {"lr": 2, "fixed": 1, "mode": "y"}]
    tried = [Tried("a", point, 0.5) for point in points]
    assert varying(tried) == ["lr", "mode"]
    assert hparams_picture("nothing varies", [Tried("a", {"lr": 1}, 0.5)] * 2, ["a"]) is None


def test_a_trial_that_missed_stands_in_the_band_on_top():
    tried = [Tried("a", {"lr": lr}, share) for lr, share in [(0.1, 0.4), (0.2, np.inf)]]
    hit, missed = hparams_picture("two", tried, ["a"]).axes[0].lines
    assert hit.get_ydata().tolist() == [0.4]
    assert missed.get_ydata()[0] >= MISSED


def test_a_workload_looks_the_same_whoever_tried_it_and_is_named_once():
    def drawn(*names):
        tried = [Tried(name, {"lr": lr}, np.inf) for name in names for lr in (1, 2)]
        made = hparams_picture("x", tried, ["a", "b"])
        named = [text.get_text() for text in made.legends[0].get_texts()]
        return named, [line.get_color() for line in made.legends[0].legend_handles]

    both, second = drawn("a", "b"), drawn("b")
    assert both[0] == ["a", "b"] and second == (["b"], both[1][1:])


def test_many_values_keep_their_places_on_a_log_axis():
    tried = [Tried("a", {"lr": 10.0**-k}, 0.5) for k in range(6)]
    axes = hparams_picture("six", tried, ["a"]).axes[0]
    assert axes.get_xscale() == "log"
    assert sorted(axes.lines[0].get_xdata()) == pytest.approx([10.0**-k for k in range(5, -1, -1)])


def test_few_values_stand_side_by_side_under_the_shortest_names_that_differ():
    tried = [Tried("a", {"lr": lr}, 0.5) for lr in (0.00131, 0.001309, 4.2)]
    axes = hparams_picture("three", tried, ["a"]).axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.001309", "0.00131", "4.2"]


def test_values_that_are_no_numbers_of_a_search_space_are_words():
    tried = [Tried("a", {"x": value}, 0.5) for value in (float("nan"), 10**400, [1, {}])]
    axes = hparams_picture("odd", tried, ["a"]).axes[0]
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert labels[1:] == ["[1, {}]", "nan"]


def test_names_from_folders_become_names_of_files():
    assert file_name("../../etc/passwd") == "_.._etc_passwd"
    assert file_name("..") == "_"
    assert len(file_name("x" * 500)) == 100
    assert short("a" * 20 + "b" * 20, 11) == "aaaaa…bbbbb"
