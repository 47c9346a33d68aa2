"""The doctor as a user starts it: data, ranks, exit codes, one line a problem."""

import json
import shutil

import pytest

from algoperf_pt.doctor import __main__ as doctor
from algoperf_pt.doctor.all_reduce import RanksError, all_reduce
from algoperf_pt.doctor.finding import Examined
from algoperf_pt.doctor.ranks import look_at_ranks


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """No child processes, no opinion about this machine's load, no calibration of its user."""
    monkeypatch.setattr(doctor, "look_at_ranks", lambda found, limit: None)
    monkeypatch.setattr(doctor, "look_at_cores", lambda found: None)
    monkeypatch.setattr(doctor, "look_at_memory", lambda found: None)
    monkeypatch.setattr(doctor, "look_at_disk", lambda found, path: None)
    monkeypatch.setattr(doctor, "look_at_shared_memory", lambda found: None)
    monkeypatch.setattr(doctor, "look_at_versions", lambda found: None)
    monkeypatch.setattr(doctor, "look_at_numerics", lambda found: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("ALGOPERF_CALIBRATION", raising=False)


def run(capsys, *arguments):
    """(exit code, lines)."""
    code = doctor.main(list(arguments))
    told = capsys.readouterr()
    return code, (told.out + told.err).splitlines()


def copied(data, tmp_path):
    """Prepared digits that a test may break."""
    return shutil.copytree(data / "digits", tmp_path / "data" / "digits")


def test_whole_data_and_nothing_else(quick, capsys, data):
    code, lines = run(capsys, "workload=digits", f"data.dir={data}", "--hash")
    assert code == 0 and lines[-1] == "no problem found"
    assert any("digits: train 1,297" in line and "SHA-256 right" in line for line in lines)


def test_a_short_shard_is_one_line_with_its_fix(quick, capsys, data, tmp_path):
    shard = next(copied(data, tmp_path).glob("*.tar"))
    shard.write_bytes(shard.read_bytes()[:-1])
    code, lines = run(capsys, f"data.dir={tmp_path / 'data'}")
    (wrong,) = [line for line in lines if line.startswith("problem:")]
    assert code == 1 and lines[-1] == "1 problem found"
    assert str(shard) in wrong and "fix: algoperf-prepare digits" in wrong


def test_a_changed_byte_needs_hashes(quick, capsys, data, tmp_path):
    shard = next(copied(data, tmp_path).glob("*.tar"))
    content = bytearray(shard.read_bytes())
    content[700] ^= 1
    shard.write_bytes(content)
    assert run(capsys, f"data.dir={tmp_path / 'data'}")[0] == 0
    code, lines = run(capsys, f"data.dir={tmp_path / 'data'}", "--hash")
    assert code == 1 and any("SHA-256" in line and "problem" in line for line in lines)


def test_a_named_workload_needs_its_data(quick, capsys, tmp_path):
    assert run(capsys, f"data.dir={tmp_path}")[0] == 0
    code, lines = run(capsys, f"data.dir={tmp_path}", "workload=digits")
    assert code == 1 and any("index.json does not exist" in line for line in lines)


def test_too_few_examples(quick, capsys, data):
    words = ("workload=digits", f"data.dir={data}", "workload.num_examples.train=2000")
    code, lines = run(capsys, *words)
    assert code == 1 and any("1,297 examples in train; digits has 2,000" in x for x in lines)


@pytest.mark.parametrize("word", ["digits", "workload=nonsense", "data.nonsense=1"])
def test_bad_input(quick, capsys, word):
    code, lines = run(capsys, word)
    assert code == 2 and lines[0].startswith("ConfigError")


def test_json(quick, capsys, data, tmp_path):
    copied(data, tmp_path)  # others put what they harm beside the shared one
    code, lines = run(capsys, f"data.dir={tmp_path / 'data'}", "--json")
    told = json.loads("\n".join(lines))
    assert code == 0 and told["problems"] == 0 and "clock" in told["parts"], told


@pytest.mark.ddp
@pytest.mark.slow
def test_ranks_reach_each_other():
    times = all_reduce("gloo", 2, megabytes=0.01, repeats=3, limit=110)
    assert len(times) == 3 and min(times) > 0


def test_ranks_that_do_not_are_a_problem_in_time(monkeypatch):
    monkeypatch.setattr("algoperf_pt.doctor.all_reduce._MODULE", "this_sleeps_not")
    with pytest.raises(RanksError, match="rank 0 of 2 ended with code 1: .*this_sleeps_not"):
        all_reduce("gloo", 2)


def test_ranks_that_are_too_slow_are_ended():
    with pytest.raises(RanksError, match="2 ranks did not finish an all-reduce in 0.01 s"):
        look_at_ranks(Examined("ranks"), limit=0.01)
