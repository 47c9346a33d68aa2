"""Times of trials and studies: first hits, the two rules of the best trial, both clocks."""

from pathlib import Path

import numpy as np
import pytest

from scoring import times
from scoring.errors import LogsError
from scoring.logs.trial import Logs, Trial, natural
from scoring.rules.model import Rules, Workload
from scoring.times import study_times, trial_times, workload_times

INF, NAN = float("inf"), float("nan")
RULES = Rules(
    "x", "external", (Workload("ogbg", "validation/map", "max", 0.5, 100.0),), studies=2, trials=2
)


def trial(number, values, seconds, study="study_0", framework="jax"):
    steps = 10.0 * np.arange(1, len(values) + 1)
    columns = {"score": np.array(seconds), "global_step": steps, "validation/map": np.array(values)}
    folder = Path(f"{study}/ogbg_{framework}/trial_{number}")
    return Trial("sub", study, "ogbg", framework, number, folder, columns)


def test_a_hit_is_the_first_row_at_or_beyond_the_target():
    one = trial(1, [NAN, 0.4, 0.5, 0.3], [1.0, 2.0, 3.0, 4.0])
    assert one.first_hit("validation/map", "max", 0.5) == 2
    assert one.first_hit("validation/map", "min", 0.4) == 1
    assert one.first_hit("validation/map", "max", 0.6) == -1
    assert one.first_hit("validation/loss", "max", 0.5) == -1


def test_the_best_trial_by_time_and_by_row():
    slow = trial(1, [0.4, 0.6], [1.0, 20.0])
    quick = trial(2, [0.4, 0.4, 0.6], [1.0, 2.0, 3.0])
    logs = Logs((slow, quick))
    by_time, by_row = study_times(logs, RULES), study_times(logs, RULES, "reference")
    assert by_time.seconds.tolist() == [[[3.0]]] and by_time.trials.tolist() == [[[2]]]
    assert by_row.seconds.tolist() == [[[20.0]]] and by_row.trials.tolist() == [[[1]]]
    assert study_times(logs, RULES, clock="steps").seconds.tolist() == [[[20.0]]]


def test_equal_rows_go_to_the_smaller_time_in_any_order():
    two = (trial(1, [0.4, 0.6], [1.0, 20.0]), trial(2, [0.4, 0.6], [1.0, 3.0]))
    for trials in (two, two[::-1]):
        found = study_times(Logs(trials), RULES, "reference")
        assert found.seconds.tolist() == [[[3.0]]] and found.trials.tolist() == [[[2]]]


def test_missing_studies_are_nan_and_misses_inf():
    logs = Logs((trial(1, [0.1], [1.0]), trial(3, [], [], "study_10"), trial(1, [0.9], [2.0], "x")))
    found = trial_times(logs, RULES)
    assert found.studies == ("study_0", "study_10", "x")
    assert np.array_equal(found.seconds, [[[[INF], [INF], [2.0]]]], equal_nan=True)
    other = Trial("other", "study_0", "wmt", "", 1, Path("w"), {})
    found = trial_times(Logs((*logs.trials, other)), RULES)
    assert np.isnan(found.seconds[0]).all() and found.best().trials[0].sum() == 0


def test_no_trial_at_all_is_missing():
    assert np.isnan(workload_times(study_times(Logs(()), RULES).seconds)).all()


def test_a_trial_in_both_frameworks_is_refused():
    logs = Logs((trial(1, [0.9], [1.0]), trial(1, [0.9], [1.0], framework="pytorch")))
    with pytest.raises(LogsError, match="twice.*ogbg_jax/trial_1.*ogbg_pytorch"):
        trial_times(logs, RULES)


def test_numbers_in_names_count():
    names = ["trial_10", "trial_2", "trial_1", "b", "9" * 40, "trial_02", "²"]
    ordered = sorted(names, key=natural)
    assert ordered[1:] == ["b", "trial_1", "trial_02", "trial_2", "trial_10", "²"]


def test_a_table_of_trials_has_a_bound(monkeypatch):
    logs = Logs((trial(1, [0.1], [1.0]), trial(2, [0.1], [1.0], "study_1")))
    monkeypatch.setattr(times, "MOST_CELLS", 2 * len(RULES.names))
    trial_times(logs, RULES)
    monkeypatch.setattr(times, "MOST_CELLS", 2 * len(RULES.names) - 1)
    with pytest.raises(LogsError, match="2 studies of up to 1 trials by 1 submissions"):
        trial_times(logs, RULES)
