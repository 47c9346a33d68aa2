"""Does a preflight say what it was asked, on trials that go well and on those that cannot?"""

import pytest


def checks(found):
    return {line["check"]: line for line in found["checks"]}


def test_digits_are_ready(data, flown):
    code, out, found = flown(data, "--hash", "--price", "12")
    assert code == 0, out
    by = checks(found)
    assert list(by)[:3] == ["data", "set-up", "steps"] and "SHA-256" in by["data"]["text"]
    assert by["checkpoint"]["text"].endswith("the same to the last bit")
    phases, seconds = found["phases"], found["seconds"]
    assert phases["longest batch"]["chosen"] == "one shape"
    assert all(phases[name]["peak_bytes"] > 1e7 for name in phases)
    evaluations = seconds["evaluations"] * (seconds["evaluation"] + seconds["checkpoint"])
    assert seconds["trial"] == pytest.approx(seconds["budget"] + seconds["start"] + evaluations)
    assert seconds["workload"] == 15 * seconds["trial"]
    assert found["price"]["a trial"] == pytest.approx(12 * seconds["trial"] / 3600)
    assert seconds["benchmark_trials"] == 120  # eight workloads, three studies of five trials
    assert out.out.splitlines()[-1] == found["verdict"]
