"""The parts of a preflight that need no trial."""

import numpy as np
import pytest
import torch

from algoperf_pt.out_of_memory import is_out_of_memory
from algoperf_pt.preflight.attempts import Attempts, End
from algoperf_pt.preflight.bisect import largest_that_fits
from algoperf_pt.preflight.judge import say_size
from algoperf_pt.preflight.longest import longest_rows
from algoperf_pt.preflight.report import NOT_DONE, OK, PROBLEM, Report, duration
from algoperf_pt.preflight.sampled import Sampled
from algoperf_pt.preflight.subject import difference
from algoperf_pt.ranks import Ranks


@pytest.mark.parametrize("limit", [0, 1, 2, 7, 98, 99])
def test_the_largest_that_fits(limit):
    asked = []
    found = largest_that_fits(0, 100, lambda n: asked.append(n) or n <= limit)
    assert found == limit and len(asked) <= 7 and 100 not in asked


def test_the_longest_of_each_kind_is_in_the_batch():
    sizes = np.array([[5, 1], [9, 2], [1, 50], [8, 3], [7, 4]])
    assert longest_rows(sizes, 3).tolist() == [1, 3, 2]
    assert longest_rows(sizes[:, :1], 2).tolist() == [1, 3]
    assert longest_rows(sizes, 7).tolist()[:5] == [1, 3, 4, 0, 2]  # rows are repeated


def test_what_counts_as_out_of_memory():
    refused = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(RuntimeError(refused))
    assert not is_out_of_memory(RuntimeError("shapes differ")) and not is_out_of_memory(KeyError())


def test_a_difference_has_a_path_and_bits_count():
    a = {"model": {"w": torch.tensor([0.0, float("nan")])}, "random": [1, (2, 3)]}
    b = {"model": {"w": torch.tensor([0.0, float("nan")])}, "random": [1, (2, 3)]}
    assert difference(a, b) is None
    b["model"]["w"][0] = -0.0
    assert difference(a, b) == "state.model.w"
    assert difference({"n": 1}, {"n": 1, "m": 2}).startswith("state: 2 entries")


class Toy:
    """Ten rows, of which the last ones are long."""

    eval_batch_size = 2
    sizes = np.arange(1, 11)[:, None]

    def eval_rows(self, split):
        return 10

    def eval_index(self, split):
        return None

    def row_sizes(self, split):
        return self.sizes

    def eval_batches(self, split, ranks):
        return iter(range(5))


def test_the_rest_of_an_evaluation_counts_by_the_length_of_its_rows():
    sampled = Sampled(Toy(), 0.0, 1)
    assert list(sampled.eval_batches("test", Ranks(torch.device("cpu")))) == [0]
    assert sampled.share["test"] == pytest.approx(3 / 55)
    sampled.spent["test"] = 3.0
    assert sampled.estimate(4.0)["seconds"] == pytest.approx(4 + 52)  # a second a unit of length
    whole = Sampled(Toy(), 1e9, 1)
    assert len(list(whole.eval_batches("test", Ranks(torch.device("cpu"))))) == 5
    assert whole.share["test"] == 1.0 and not whole.estimate(1.0)["extrapolated"]


class Killed(Attempts):
    """A process that the system ends whenever more than 10 rows are tried."""

    def _run(self, more):
        lines = [{"begun": "search"}]
        low, high = more["low"], more["high"]
        while high - low > 1:
            middle = (low + high) // 2
            lines.append({"trying": middle})
            if middle > 10:
                return lines, End(True, "killed")
            lines.append({"tried": middle, "fits": True})
            low = middle
        return lines, End(False, "")


def test_a_search_goes_on_after_its_process_was_killed(tmp_path):
    config = {"trainer": {"devices": "2"}}
    assert Killed(config, tmp_path, 1.0, None, 1.0).search(100) == (10, [])


def test_what_is_said_of_a_size():
    report = Report("t")
    say_size(report, 32, 2, 10, [], "submission.batch_size={}")
    assert "64 do not fit; the largest batch that does is 20, 10 on each" in report.lines[0].text
    assert report.lines[0].fix.startswith("submission.batch_size=20;")
    say_size(report, 32, 1, 0, [], "")
    assert "nor does any smaller batch" in report.lines[1].text


def test_a_verdict_is_that_of_the_worst_line():
    report = Report("t")
    report.say("data", OK, "two\nlines\x1b[31m")
    assert (report.verdict, report.exit_code) == ("ready", 0)
    assert report.lines[0].text == "two lines [31m"
    report.say("steps", NOT_DONE, "")
    assert (report.verdict, report.exit_code) == ("ready with warnings", 0)
    report.say("disk", PROBLEM, "")
    assert (report.verdict, report.exit_code) == ("not ready", 1)
    assert [duration(s) for s in (0.5, 90, 600, 9000)] == ["500 ms", "90 s", "10.0 min", "2.5 h"]
