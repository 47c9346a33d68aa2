"""Do the tables in Markdown and LaTeX say the same, and survive any name?"""

import numpy as np

from scoring.report.latex import latex
from scoring.report.markdown import markdown
from scoring.report.tables import leaderboard, report_tables, times
from tests.support.board import board

TIMES = """\
## Time to target (seconds): A small group

| Submission |    ogbg |      wmt |  wmt_glu |
| ---------- | ------: | -------: | -------: |
| quick      | **100** | **4000** | **2000** |
| slow_one   |     300 |    6000‡ |        ∞ |
| no_logs    |      \\* |        ∞ |     900† |

- ∞ target not reached
- \\* no evaluations in the logs
- † held-out time ignored: the base workload's target was not reached
- ‡ base time ignored: its held-out variant failed
- Median over studies. Bold: the fastest that counts. A mark: does not count.
"""


def test_times_in_markdown():
    assert markdown(times(board(), shares=False)) == TIMES


def test_times_in_latex():
    lines = latex(times(board(), shares=False)).splitlines()
    assert r"quick & \textbf{100} & \textbf{4000} & \textbf{2000} \\" in lines
    slow = r"slow\_one & 300 & \textcolor{gray}{6000\textsuperscript{\ddag}} & "
    assert slow + r"\textcolor{gray}{$\infty$} \\" in lines
    assert r"\ddag{} base time ignored: its held-out variant failed" in lines[-1]


def test_the_leaderboard_has_ranks_intervals_and_bold():
    low, high = np.array([0.9, 0.1, 0.0]), np.array([1.0, 0.3, 0.0])
    text = markdown(leaderboard(board(low=low, high=high)))
    assert "| **quick**  | **1** | **1.0000** | 0.900 to 1.000 |               2 of 2 |" in text
    assert "95 % interval" in text
    assert "of this group" in text


def test_equal_scores_share_the_better_rank_and_the_bold():
    tied = board(scores=np.array([0.5, 0.5, 0.0]), ranks=np.array([1, 1, 3]))
    rows = [[cell.text for cell in row[:2]] for row in leaderboard(tied).rows]
    assert rows == [["quick", "1"], ["slow_one", "1"], ["no_logs", "3"]]
    assert [row[0].best for row in leaderboard(tied).rows] == [True, True, False]


def test_equal_times_are_both_bold():
    tied = np.array([[100.0, 1, 1], [100.0, 2, 2], [np.nan, 3, 3]])
    made = times(board(times=tied), shares=False)
    assert [row[1].best for row in made.rows] == [True, True, False]


def test_on_a_clock_of_steps_there_are_no_shares_of_a_budget():
    titles = [table.title for table in report_tables(board(timed=False))]
    assert len(titles) == 2
    assert "(steps)" in titles[1]


def test_hostile_names_stay_text():
    names = ("a|b\n# x", "*_`<b>[x](http://y)", "\\input{/etc/passwd}%$&~^#")
    made = leaderboard(board(names))
    rows = markdown(made).splitlines()
    assert len({row.count("|") - row.count("\\|") for row in rows if row.startswith("|")}) == 1
    assert "<b>" not in markdown(made) and "[x](" not in markdown(made)
    assert r"\textbackslash{}input\{/etc/passwd\}\%\$\&\textasciitilde{}" in latex(made)
