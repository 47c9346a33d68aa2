"""Does a preflight say what it was asked, on trials that go well and on those that cannot?"""

import shutil
from pathlib import Path

import pytest

from algoperf_pt.preflight import __main__ as command

REFERENCE = Path(__file__).parents[1] / "reference" / "submissions"


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


@pytest.mark.slow
def test_rows_of_many_lengths(all_data, flown):
    """The longest utterances, not the first ones; the evaluation is cut short and says so."""
    root = all_data.prepared("librispeech_conformer_tiny")
    small = ("submission.batch_size=4", "workload.eval_batch_size=8")
    code, out, found = flown(root, *small, workload="librispeech_conformer_tiny")
    assert code == 0, out
    longest = found["phases"]["longest batch"]
    assert longest["chosen"] == "longest rows" and longest["shape"]["inputs"][0] == 4
    evaluation = found["phases"]["evaluation"]
    assert evaluation["extrapolated"] and evaluation["seconds"] > evaluation["spent_seconds"]
    assert "extrapolated from" in checks(found)["evaluation"]["text"]


@pytest.mark.slow
def test_packed_rows_and_ranks(all_data, flown):
    """One of two ranks: half of the rows, and the other half of the evaluation is not its own."""
    root = all_data.prepared("wmt_tiny")
    code, out, found = flown(root, "trainer.devices=2", workload="wmt_tiny")
    assert code == 0, out
    setup, longest = found["phases"]["set-up"], found["phases"]["longest batch"]
    assert (setup["asked"], setup["rows"], longest["rows"]) == (8, 4, 4)
    assert longest["chosen"] == "packed rows" and longest["shape"]["inputs"] == [4, 64]
    assert found["phases"]["evaluation batch"]["rows"] == 32
    assert "one rank's share of 2" in checks(found)["set-up"]["text"]


def test_a_submission_for_algoperf(data, flown):
    path, space = (REFERENCE / "adam" / n for n in ("submission.py", "tuning_search_space.json"))
    words = ("submission=algoperf", f"submission.path={path}", f"submission.space={space}")
    code, out, found = flown(data, *words)
    assert code == 0, out
    assert checks(found)["checkpoint"]["verdict"] == "ok"


@pytest.mark.slow
def test_the_batch_size_that_fits(data, flown):
    """A wide layer takes 0.31 GB for each of its tensors; the limit leaves 0.3 GB."""
    wide, asked = "workload.model.hidden=60000", "submission.batch_size=1296"
    code, out, found = flown(data, wide, asked, room=3e8)
    assert code == 1 and found["verdict"] == "not ready", out
    by = checks(found)
    size = found["largest_batch_size"]
    assert 10 < size < 1296 and f"is {size}" in by["batch size"]["text"]
    assert f"change: batch size: submission.batch_size={size}" in out.out
    assert by["checkpoint"]["verdict"] == "not done"


def test_a_limit_below_what_an_idle_process_has(data, flown):
    code, out, found = flown(data, "--memory-gb", "0.01")
    assert code == 1 and "less than an idle process has" in checks(found)["set-up"]["text"]


def test_missing_and_truncated_data(data, flown, tmp_path):
    code, out, found = flown(tmp_path / "nowhere")
    assert code == 1 and "does not exist" in out.out and "change: data: algoperf-prepare" in out.out
    shutil.copytree(data / "digits", tmp_path / "cut" / "digits")
    shard = next((tmp_path / "cut" / "digits").glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:-512])
    code, out, found = flown(tmp_path / "cut")
    assert code == 1 and shard.name in checks(found)["data"]["text"]
    whole = (data / "digits" / shard.name).read_bytes()
    shard.write_bytes(whole[:-512] + bytes(511) + b"x")
    code, out, found = flown(tmp_path / "cut", "--hash")
    assert code == 1 and f"{shard.name}: SHA-256" in checks(found)["data"]["text"]


def test_no_room(data, flown, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=300_000)
    monkeypatch.setattr("algoperf_pt.preflight.places.shutil.disk_usage", lambda path: usage)
    code, out, found = flown(data)
    assert code == 1 and checks(found)["disk"]["verdict"] == "problem"
    assert "change: disk: another experiment_dir" in out.out


def test_a_batch_that_cannot_be_shared_or_is_larger_than_an_epoch(data, flown):
    code, out, found = flown(data, "submission.batch_size=33", "trainer.devices=2")
    assert code == 1 and "multiple of 2, such as 34" in checks(found)["set-up"]["fix"]
    code, out, found = flown(data, "submission.batch_size=1298")
    assert code == 1 and "from 1 to 1297" in checks(found)["loader"]["text"]


def test_a_state_that_is_not_saved(data, flown):
    words = ("submission._target_=tests.preflight.forgetful.Forgetful",)
    code, out, found = flown(data, *words)
    assert code == 1 and "submission" in checks(found)["checkpoint"]["text"]


def test_a_submission_that_raises_is_named(data, flown):
    words = ("submission._target_=tests.support.submissions.RaiseAt",)
    options = ("+submission.options.kind=bug", "+submission.options.at=1")
    code, out, found = flown(data, *words, *options)
    assert code == 1
    assert checks(found)["steps"]["text"] == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize(
    "words, said",
    [
        (["digits"], "'digits' is no KEY=VALUE"),
        (["workload=digits", "--memory-gb", "0"], "--memory-gb 0"),
        (["workload=digitz"], "digitz"),
        (["workload=digits", "--price", "-1"], "--price -1"),
        (["workload=digits", "--json", "/no/such/folder/x.json"], "no folder"),
    ],
)
def test_bad_input(words, said, capsys):
    assert command.main(words) == 2
    assert said in capsys.readouterr().err
