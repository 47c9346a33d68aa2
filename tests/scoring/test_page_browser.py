"""What does a reader of the page see and do?  In a real browser, at a desk and on a telephone."""

import re
from dataclasses import replace
from urllib.parse import quote

import numpy as np
import pytest
from matplotlib.image import imread

from scoring.report.data import page_data
from scoring.report.page import page, write_page
from tests.support import browser
from tests.support.board import NAMES, WORKLOADS, against, board, runs

OWNED = "</script><script>document.title='owned'</script>"
HOSTILE = (OWNED, "<img src=x onerror=\"document.title='owned'\">", "a/b%2F?#&")
VIEWS = ("", "submission/quick", "workload/ogbg", "cell/quick/wmt", "trial/quick/ogbg/study_1/1")


def written(folder, names=NAMES, **changes):
    path = folder / "page.html"
    write_page(path, page_data(board(names, **changes), runs(names), [("a", "b", "c")], "foot"))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    browser.find()
    return written(tmp_path_factory.mktemp("page"))


def rows(path, script):
    """First column of the first table after `script`."""
    read = (
        "return [...document.querySelectorAll('tbody')[0].rows].map((r) => r.cells[0].innerText);"
    )
    return browser.probe(path, script + read)


@pytest.mark.parametrize("width", [1280, 360])
def test_a_screenshot_shows_a_page_with_lines_in_colour(path, tmp_path, width):
    picture = tmp_path / "page.png"
    browser.screenshot(path, picture, width=width)
    pixels = imread(picture)[..., :3]
    assert pixels.shape[:2] == (1000, width)
    colour = (pixels.max(-1) - pixels.min(-1) > 0.4).mean()
    assert 0.001 < colour < 0.5
    assert (pixels.min(-1) > 0.98).mean() > 0.5  # white paper


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_is_wider_than_a_telephone(path, view):
    wide = "return [document.body.parentNode.scrollWidth, document.querySelector('h1').innerText];"
    width, heading = browser.probe(path, wide, view, width=360)
    assert width <= 360
    assert heading != "Not here"


def test_headings_sort_both_ways_and_say_so(path):
    found = "[...document.querySelectorAll('th button')].find((x) => x.innerText === 'Score')"
    score = f"const b = {found}; b.click();"
    assert rows(path, score) == ["quick", "slow_one", "no_logs"]
    assert rows(path, score + "b.click();") == ["no_logs", "slow_one", "quick"]
    said = browser.probe(path, score + "return b.parentNode.getAttribute('aria-sort');")
    assert said == "descending"


def test_one_clicks_through_to_a_trial_and_back(path):
    visit = """
    const seen = [], wait = () => new Promise((done) => setTimeout(done, 100));
    const go = async (text) => {
      [...document.querySelectorAll("main a")].find((a) => a.textContent === text).click();
      await wait();
      seen.push(document.querySelector("h1").innerText);
    };
    await go("quick"); await go("100.0 s"); await go("1");
    history.back(); await wait();
    seen.push(document.querySelector("h1").innerText, document.title);
    return seen;"""
    assert browser.probe(path, visit) == [
        "quick",
        "quick on ogbg",
        "study_0, trial 1",
        "quick on ogbg",
        "quick on ogbg · A small group",
    ]


def test_a_trial_has_its_curve_target_and_hyperparameters(path):
    shown = browser.shown(path, "trial/quick/ogbg/study_1/1")
    assert len(re.findall(r"<g data-name=", shown)) == 1
    assert "target 0.5" in shown
    assert "<dt>lr</dt><dd>0.1</dd>" in shown


def test_a_cell_that_does_not_count_says_why(path):
    assert "its held-out variant failed (wmt_glu)" in browser.shown(path, "cell/slow_one/wmt")


@pytest.mark.parametrize("view", ["submission/me", "nonsense", "%E0%A4%A", "constructor", "cell"])
def test_an_address_that_leads_nowhere_says_so(path, view):
    assert "<h1>Not here</h1>" in browser.shown(path, view)


def test_intervals_are_shown_when_there_are_some(path, tmp_path):
    assert "95 % interval" not in browser.shown(path)
    low, high = np.array([0.9, 0.1, 0.0]), np.array([1.0, 0.3, 0.0])
    assert "0.100–0.300" in browser.shown(written(tmp_path, low=low, high=high))


def test_speed_against_a_baseline_is_a_column_and_a_fact(path, tmp_path):
    assert "Less time than" not in browser.shown(path)
    told = written(tmp_path, **against(1))
    read = "[...document.querySelector('tbody').rows].map((r) => r.cells[5].innerText)"
    assert browser.probe(told, f"return {read};") == ["52.9 %", "0.0 %", "-110.9 %*"]
    assert "without logs counts as not reached" in browser.shown(told)
    shown = browser.shown(told, "submission/quick")
    assert "<dt>less time than slow_one</dt><dd>52.9 %</dd>" in shown and "0.67×" in shown


def test_long_names_of_workloads_fit_their_headings(tmp_path):
    names = ("librispeech_deepspeech", "imagenet_resnet_large_bn_init", "wmt_glu_tanh")
    long = tuple(replace(w, name=name, base="") for w, name in zip(WORKLOADS, names))
    told = tmp_path / "page.html"
    write_page(told, page_data(board(workloads=long), [], [], "foot"))
    outside = """return [...document.querySelectorAll("th.tall")].map((th) => {
      const range = document.createRange(), around = th.getBoundingClientRect();
      range.selectNodeContents(th);
      return range.getBoundingClientRect().top < around.top - 1;
    });"""
    assert browser.probe(told, outside) == [False] * 3


def test_a_press_on_a_name_brings_its_line_forward(path):
    press = """
    const dim = () => [...document.querySelectorAll("g.dim")].map((g) => g.dataset.name);
    const key = document.querySelector("ul.keys button");
    key.click(); const first = dim(); key.click();
    return [key.textContent, first, dim()];"""
    assert browser.probe(path, press) == ["quick", ["slow_one", "no_logs"], []]


def test_a_line_stays_in_front_when_the_window_changes_and_on_its_own_page(path):
    kept = """
    const dim = () => [...document.querySelectorAll("g.dim")].map((g) => g.dataset.name);
    redraw(); return dim();"""
    assert browser.probe(path, kept, "submission/slow_one") == ["quick", "no_logs"]
    assert browser.probe(path, kept) == []


def test_hostile_names_are_text_and_their_links_work(tmp_path):
    browser.find()
    path = written(tmp_path, HOSTILE)
    for name in HOSTILE:
        view = "submission/" + quote(name, safe="")
        assert "<title>owned" not in browser.dom(path, view)
        assert "Not here" not in browser.shown(path, view)
        assert "<img" not in browser.shown(path, view)


def test_the_browser_runs_no_script_but_the_pages_own(path, tmp_path):
    planted = tmp_path / "planted.html"
    made = page(page_data(board(), runs(), [], ""))
    script = "<script>document.body.id = 'owned'</script>"
    planted.write_text(made.replace("</body>", f"{script}</body>"))
    shown = browser.dom(planted)
    assert "Leaderboard</h1>" in shown
    assert '<body id="owned"' not in shown


def test_numbers_as_text_and_order(path):
    asked = """return [time(43.21), time(738), time(19476), time(null), amount(1234567, "steps"),
      digits(0.5, 4), significant(0.0001), significant(0.085884), significant(null),
      percent(0.123, 1),
      sorted([{a: 3}, {a: null}, {a: 1}, {a: 2}], "a", -1).map((r) => r.a),
      sorted([{a: "trial_10"}, {a: "trial_2"}], "a", 1).map((r) => r.a),
      parts(address("cell", "a/b %", "c#d")), parts("#/%E0%A4%A"),
      ticks(0, 1, 5), ticks(3, 3, 5),
      profileSteps([1, 3, null, 9], 4), shade(2), window_([], null, 1)];"""
    assert browser.probe(path, asked) == [
        *("43.2 s", "12.3 min", "5.41 h", "–", "1,234,567"),
        *("0.5000", "1.000e-4", "0.085884", "–", "12.3 %"),
        [3, 2, 1, None],
        ["trial_2", "trial_10"],
        ["cell", "a/b %", "c#d"],
        None,
        [0, 0.2, 0.4, 0.6, 0.8, 1],
        [3],
        [[1, 0.25], [3, 0.25], [3, 0.5], [4, 0.5]],
        "rgb(120,178,222)",
        [0, 1],
    ]
