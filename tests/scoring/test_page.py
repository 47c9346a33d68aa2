"""Is the page whole, small and harmless, before any browser has seen it?"""

import base64
import hashlib
import json
import re

import numpy as np
import pytest

from scoring.report.data import embedded, page_data
from scoring.report.page import page, write_page
from scoring.report.thin import on_grid, rounded, thinned
from tests.support.board import NAMES, against, board, runs

HOSTILE = "</script><script>document.title='owned'</script><!--"


def data(names=NAMES, **changes):
    return page_data(board(names, **changes), runs(names), [("missing", "a/b", "no csv")], "foot")


def parts(text):
    """(policy, style, data, script) of a page."""
    found = [
        re.search(pattern, text, re.DOTALL).group(1)
        for pattern in (
            r'Content-Security-Policy" content="(.*?)"',
            r"<style>(.*?)</style>",
            r'id="data">(.*?)</script>',
            r"<script>(.*)</script>\s*</body>",
        )
    ]
    return found


def test_the_data_come_back_as_they_were():
    made = data((HOSTILE, "a & b", "ünï\u2028"))
    assert json.loads(parts(page(made))[2]) == json.loads(json.dumps(made))


def test_no_name_can_close_the_script_or_open_a_comment():
    text = embedded(data((HOSTILE, "<!--<script>", "]]>")))
    assert not set("<>&") & set(text)


def test_a_hostile_title_is_text():
    text = page(data(title=HOSTILE))
    assert text.count("<script") == 2  # the data, the script
    assert "document.title='owned'" not in text.replace(parts(text)[2], "")


def test_the_policy_names_the_script_and_the_style_that_are_there():
    policy, style, _, script = parts(page(data()))
    for kind, content in (("script", script), ("style", style)):
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_nothing_is_asked_of_any_server():
    text = page(data())
    addresses = set(re.findall(r"https?://[^\s\"'<>]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a language, never fetched
    assert not re.findall(r"\b(?:src|href|action)=\"(?!data:|#)", text)
    for word in ("fetch(", "XMLHttp", "import(", "@import", "url(http", "innerHTML", "eval("):
        assert word not in text


def test_infinite_and_missing_numbers_are_null():
    made = data()
    cells = made["cells"]
    assert cells[1][2]["t"] is None and cells[1][2]["why"] == "target not reached"
    assert cells[2][0]["mark"] == "*"
    json.dumps(made, allow_nan=False)


def test_speed_against_a_baseline_comes_along_if_there_is_one():
    assert {s["faster"] for s in data()["submissions"]} == {None}
    made = data(**against(0))
    assert made["baseline"] == "quick"
    assert [s["unlogged"] for s in made["submissions"]] == [0, 0, 1]
    assert made["submissions"][1]["faster"] == pytest.approx(1 - (3 * 1.5) ** 0.5)
    assert [cell["v"] for cell in made["cells"][1]] == [3.0, 1.5, None]


def test_submissions_come_by_rank_and_everything_with_them():
    made = data(ranks=np.array([3, 2, 1]))
    assert [s["name"] for s in made["submissions"]] == list(reversed(NAMES))
    assert made["cells"][2][0]["t"] == 100.0
    first = made["trials"]["s"].index(2)
    assert made["trials"]["t"][first] == pytest.approx(90.0)


def test_hyperparameters_are_shared_and_odd_ones_are_text():
    made = data()
    assert made["points"] == [{"lr": 0.1, "mode": "a"}, {"lr": 0.2, "mode": "a"}]
    odd = [r.__class__(**{**vars(r), "hparams": {"x": float("nan"), "y": [1]}}) for r in runs()[:1]]
    assert page_data(board(), odd, [], "")["points"] == [{"x": "nan", "y": "[1]"}]


def test_thinning_keeps_ends_spikes_and_what_is_asked_for():
    y = np.linspace(0, 1, 1000)
    y[500], y[501] = 9.0, -9.0
    kept = thinned(y, keep=(777,))
    assert len(kept) <= 40
    assert {0, 500, 501, 777, 999} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


def test_thinning_leaves_short_curves_alone_and_drops_nan():
    assert thinned(np.array([1.0, np.nan, 2.0])).tolist() == [0, 2]
    assert thinned(np.full(100, np.nan)).size == 0


def test_rounding_is_finer_than_a_screen():
    assert rounded(np.array([0.123456789]), 5) == [0.12346]
    x = np.linspace(0, 77520, 999)
    assert np.abs(np.array(on_grid(x, 77520.0)) - x).max() <= 77520 / 5000
    assert on_grid(np.array([0.1234]), 1.0) == pytest.approx([0.1234])


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "page.html"
    write_page(path, data())
    before = path.read_bytes()
    with pytest.raises(ValueError):
        write_page(path, {**data(), "tau": float("inf")})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
