"""Do the tables in Markdown and LaTeX say the same, and survive any name?"""

import numpy as np

from scoring.report.latex import latex
from scoring.report.markdown import markdown
from scoring.report.tables import leaderboard, report_tables, times
from tests.support.board import against, board

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


def test_speed_against_a_submission():
    made = board(**against(1))
    assert report_tables(board())[-1].title.startswith("Time to target")
    first, last = leaderboard(made), report_tables(made)[-1]
    assert first.header[-1] == "Less time than slow_one"
    # 100 of 300 s and 4000 of 6000 s; 1001 of 300 s (no logs) and 8001 of 6000 s (a miss)
    assert [row[-1].text for row in first.rows] == ["52.9 %", "0.0 %", "−110.9 %*"]
    assert [[cell.text for cell in row[1:]] for row in last.rows] == [
        ["52.9 %", "2.12", "0.33", "0.67"],
        ["0.0 %", "1.00", "1.00", "1.00"],
        ["−110.9 %*", "0.47", "3.34", "1.33"],
    ]
    assert first.notes[0] == last.notes[0] == "* no evaluations in the logs"
    assert r"$-$110.9 \%*" in latex(last)
    assert r"$*${} no evaluations" in latex(last)


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
