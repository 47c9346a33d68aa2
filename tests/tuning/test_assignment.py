"""Does every trial of every study take the point that the rules say?"""

from algoperf_pt.tuning.assignment import assigned
from algoperf_pt.tuning.points import points
from algoperf_pt.tuning.space import parse_space

SPACE = parse_space({"lr": {"min": 1e-4, "max": 1e-2, "scaling": "log"}}, "here")
LIST = parse_space([{"lr": 0.1}, {"lr": 0.2}, {"lr": 0.3}], "here")


def rates(dealt):
    return [point["lr"] for point in dealt.values()]


def test_quasi_random_points_are_drawn_for_all_studies_at_once():
    dealt = assigned(SPACE, studies=3, trials=5, seed=0)
    assert list(dealt) == [(study, trial) for study in range(3) for trial in range(1, 6)]
    drawn = [point["lr"] for point in points(SPACE, 15)]
    assert len(set(rates(dealt))) == 15 and set(rates(dealt)) == set(drawn)


def test_they_are_dealt_at_random_by_the_seed():
    first, again = (assigned(SPACE, 3, 5, seed=0) for _ in range(2))
    other = assigned(SPACE, 3, 5, seed=1)
    assert first == again != other
    assert set(rates(first)) == set(rates(other))
    assert rates(first) != [point["lr"] for point in points(SPACE, 15)]
    assert rates(first) == [point["lr"] for point in points(SPACE, 15, seed=0)]


def test_each_study_goes_through_a_list_anew():
    for seed in (0, 1):
        dealt = assigned(LIST, studies=2, trials=2, seed=seed)
        assert rates(dealt) == [0.1, 0.2, 0.1, 0.2]


def test_a_short_list_ends_a_study_earlier():
    dealt = assigned(LIST, studies=2, trials=5, seed=0)
    assert list(dealt) == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]


def test_without_a_space_each_study_is_one_trial():
    assert assigned(None, studies=3, trials=5, seed=0) == {(0, 1): {}, (1, 1): {}, (2, 1): {}}
