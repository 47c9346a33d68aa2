"""What the readers make of odd, broken and hostile logs.  A file that cannot be read is named."""

import json
import os

import numpy as np
import pytest

from scoring.errors import LogsError
from scoring.logs import discover, read, read_csv, read_json
from scoring.logs.read import read_logs
from scoring.logs.read_csv import read_table

CSV = "global_step,score,validation/loss\n1,0.5,3\n2,1.5,\n"


def put(root, path, text=CSV):
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "eval_measurements.csv").write_text(text)
    return folder


def kinds(logs):
    return [(finding.kind, finding.path.name, finding.text) for finding in logs.findings]


# ---- a file


def test_numbers_are_read_to_the_last_digit():
    text = b"score,validation/loss\r\n1e-3,0.1237339356520284\r\n37.11564826965332,nan\r\n"
    columns = read_table(text).columns
    assert columns["score"].tolist() == [0.001, 37.11564826965332]
    assert columns["validation/loss"][0] == 0.1237339356520284
    assert np.isnan(columns["validation/loss"][1])


def test_empty_cells_and_quotes_take_the_careful_way():
    columns = read_table(b'"a","b,c"\n"1",\n 2 ,NaN\n\n').columns
    assert columns["a"].tolist() == [1.0, 2.0] and np.isnan(columns["b,c"]).all()


def test_both_ways_agree(monkeypatch):
    rows = np.random.default_rng(0).random((50, 4)).tolist()
    text = "a,b,c,d\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows)
    fast = read_table(text.encode()).columns
    monkeypatch.setattr(read_csv, "_fast", lambda body, width: None)
    careful = read_table(text.encode()).columns
    assert np.array_equal(list(fast.values()), list(careful.values()))
    assert np.array_equal(np.array(list(fast.values())).T, rows)


def test_a_header_alone_has_no_rows():
    assert read_table(b"score,global_step\n").columns["score"].shape == (0,)


def test_a_cut_last_line_is_left_out_and_noted():
    table = read_table(b"a,b\n1,2\n3,4")
    assert table.columns["b"].tolist() == [2.0] and "no end" in table.notes[0]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is empty"),
        (b"\n1,2\n", "first line is empty"),
        (b"a,a\n1,2\n", "'a' is there twice"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 cells; the header has 2"),
        (b"a,b\n1,2\n3\n4,5,6\n", "line 3 has 1 cells"),
        (b"a,b\n1,x\n", "line 2: 'x' is no number"),
        (b"a,b\n1,1_000\n", "line 2: '1_000' is no number"),
        (b"a,b\n1,1nan\n", "'1nan' is no number"),
        ("a,b\n1,\u0661\n".encode(), "is no number"),
        (b"a,b\n1," + b"9" * 1000 + b"\n", "is no number"),
        (b"a,b\n1," + b"9" * 1_000_000 + b"\n", "no csv"),
        (b'a,b\n1,"2\n', "no csv"),
        (b'a,b\n1,"2""""3"4\n', "no csv"),
        (b"a,b\n1,\xff\n", "no csv"),
        (b"a\xff,b\n1,2\n", "line 1 is no header"),
        (b",".join(b"c%d" % i for i in range(1_000_000)) + b"\n", "1,000,000 columns"),
        (b"a,b\n" + b"1,2\n" * 300_000, "600,000 cells; at most 500,000"),
        (b"\x00" * 100 + b"\n", None),
    ],
)
def test_broken_files_are_refused(content, message):
    if message is None:
        read_table(content)  # an odd name of a column is no fault
        return
    with pytest.raises(LogsError, match=message) as caught:
        read_table(content)
    assert len(str(caught.value)) < 300


def test_clocks_must_be_seconds(tmp_path):
    for trial, score in enumerate(("nan", "-1", "inf", "1e999", "", "1e13"), 1):
        put(tmp_path, f"s/study_0/wmt/trial_{trial}", f"global_step,score\n1,{score}\n")
    put(tmp_path, "s/study_0/wmt/trial_8", "global_step,score\n1e308,1\n")
    put(tmp_path, "s/study_0/wmt/trial_9", "global_step,loss\n1,2\n")
    put(tmp_path, "s/study_0/wmt/trial_10", "accumulated_submission_time,global_step\n1,2\n")
    logs = read_logs([tmp_path])
    assert [trial.number for trial in logs.trials] == [10]
    assert logs.trials[0].clock.tolist() == [1.0]
    assert [kind for kind, _, _ in kinds(logs)] == ["unreadable"] * 8
    assert len(logs.without_rows) == 8


def test_a_clock_that_goes_back_is_noted(tmp_path):
    put(tmp_path, "s/study_0/wmt/trial_1", "global_step,score\n1,2\n2,1\n")
    assert kinds(read_logs([tmp_path]))[0][2] == "score goes back"


# ---- a tree


def test_the_layout(tmp_path):
    for path in (
        "b/study_0/wmt_jax/trial_1",
        "b/study_0/wmt_jax/trial_10",
        "b/study_0/wmt_jax/trial_2",
        "b/study_10/wmt_glu_tanh_pytorch/trial_1",
        "b/study_2/digits/trial_1",
        "b/study_2/trial_1",
        "b/notes/x",
        "b/study_0/wmt_jax/checkpoints",
        "not_a_submission/plain",
    ):
        put(tmp_path, path)
    (tmp_path / "a.log").write_text("x")
    (tmp_path / "b" / "study_0" / "wmt_jax_01-02-2025-03-04-05.log").write_text("")
    (tmp_path / "b/study_2/digits/trial_2").mkdir()
    logs = read_logs([tmp_path])
    found = [(t.study, t.workload, t.framework, t.number) for t in logs.trials]
    assert found == [
        ("study_0", "wmt", "jax", 1),
        ("study_0", "wmt", "jax", 2),
        ("study_0", "wmt", "jax", 10),
        ("study_2", "digits", "", 1),
        ("study_10", "wmt_glu_tanh", "pytorch", 1),
    ]
    assert [(t.study, t.number) for t in logs.without_rows] == [("study_2", 2)]
    ignored = [name for kind, name, _ in kinds(logs) if kind == "ignored"]
    assert sorted(ignored) == ["checkpoints", "not_a_submission", "notes", "trial_1"]
    assert [name for kind, name, _ in kinds(logs) if kind == "missing"] == ["trial_2"]


def test_one_submission_teams_and_several_roots(tmp_path):
    put(tmp_path / "one", "sub/study_0/wmt/trial_1")
    put(tmp_path / "two", "team/other/study_0/wmt/trial_1")
    alone = read_logs([tmp_path / "one" / "sub"])
    assert alone.submissions == ("sub",)
    both = read_logs([tmp_path / "one", tmp_path / "two" / "team"])
    assert both.submissions == ("other", "sub")
    assert read_logs([tmp_path / "two"], teams=True).submissions == ("team/other",)
    with pytest.raises(LogsError, match="--teams"):
        read_logs([tmp_path / "two"])


def test_later_parts_of_a_submission_belong_to_it(tmp_path):
    put(tmp_path, "sub/study_0/wmt/trial_1")
    put(tmp_path, "sub-2024-01-02-03-04-05/study_0/wmt/trial_2")
    put(tmp_path, "own-2024-01-02-03-04-05/study_0/wmt/trial_1")
    logs = read_logs([tmp_path])
    assert logs.submissions == ("own-2024-01-02-03-04-05", "sub")
    assert [t.number for t in logs.trials if t.submission == "sub"] == [1, 2]


def test_folders_can_be_left_out(tmp_path):
    put(tmp_path, "a/study_0/wmt/trial_1")
    put(tmp_path, "b/study_0/wmt/trial_1")
    assert read_logs([tmp_path], skip=[tmp_path / "b"]).submissions == ("a",)


@pytest.mark.parametrize(
    "path, message",
    [
        ("missing", "is no folder"),
        ("s/study_0", "holds no submission"),
        ("s/study_0/wmt", "two levels lower"),
        ("s/study_0/wmt/trial_1", "three levels lower"),
        ("empty", "holds no submission"),
    ],
)
def test_what_somebody_meant_who_gave_another_folder(tmp_path, path, message):
    put(tmp_path, "s/study_0/wmt/trial_1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogsError, match=message):
        read_logs([tmp_path / path])


def test_logs_without_any_evaluation(tmp_path):
    (tmp_path / "s/study_0/wmt/trial_1").mkdir(parents=True)
    with pytest.raises(LogsError, match="no eval_measurements.csv could be read.*1 trial folder"):
        read_logs([tmp_path])


def test_links_out_of_the_tree_are_not_followed(tmp_path):
    outside = put(tmp_path / "outside", "s/study_0/wmt/trial_1")
    inside = put(tmp_path / "logs", "a/study_0/wmt/trial_1")
    (tmp_path / "logs" / "evil").symlink_to(tmp_path / "outside" / "s")
    (tmp_path / "logs" / "again").symlink_to(tmp_path / "logs" / "a")
    (inside.parent / "trial_2").symlink_to(outside)
    (inside.parent / "trial_3").mkdir()
    (inside.parent / "trial_3" / "eval_measurements.csv").symlink_to("/etc/passwd")
    logs = read_logs([tmp_path / "logs"])
    assert logs.submissions == ("a", "again")
    assert [t.number for t in logs.trials] == [1, 1]
    texts = {name: text for kind, name, text in kinds(logs) if kind == "unreadable"}
    assert "out of the tree" in texts["evil"] and "out of the tree" in texts["trial_2"]
    assert "is a link" in texts["eval_measurements.csv"] and "root:" not in str(texts)


def test_giants_pipes_and_crowds_are_refused(tmp_path, monkeypatch):
    put(tmp_path, "s/study_0/wmt/trial_1")
    big = put(tmp_path, "s/study_0/wmt/trial_2") / "eval_measurements.csv"
    os.truncate(big, 5 << 30)  # sparse: no disk is needed
    pipe = put(tmp_path, "s/study_0/wmt/trial_3") / "eval_measurements.csv"
    pipe.unlink()
    os.mkfifo(pipe)
    texts = [text for _, _, text in kinds(read_logs([tmp_path]))]
    assert "5,368,709,120 bytes" in texts[0] and "no plain file" in texts[1]
    monkeypatch.setattr(discover, "MOST_ENTRIES", 2)
    with pytest.raises(LogsError, match="more than 2 entries"):
        read_logs([tmp_path])


def test_all_files_together_have_a_bound(tmp_path, monkeypatch):
    for number in (1, 2):
        put(tmp_path, f"s/study_0/wmt/trial_{number}")
    monkeypatch.setattr(read, "MOST_NUMBERS", 12)
    assert len(read_logs([tmp_path]).trials) == 2
    monkeypatch.setattr(read, "MOST_NUMBERS", 11)
    with pytest.raises(LogsError, match="more than 11 numbers"):
        read_logs([tmp_path])


def test_names_that_cannot_be_shown_are_escaped(tmp_path):
    put(tmp_path, "a\x1b[31m\u202e\n/study_0/wmt/trial_1")
    folder = os.fsencode(tmp_path) + b"/\xff/study_0/wmt/trial_1"
    os.makedirs(folder)
    with open(folder + b"/eval_measurements.csv", "w") as file:
        file.write(CSV)
    assert read_logs([tmp_path]).submissions == ("\\xff", "a\\x1b[31m\\u202e\\n")


def test_json_beside_the_evaluations(tmp_path, monkeypatch):
    folder = put(tmp_path, "s/study_0/wmt/trial_1")
    trial = read_logs([tmp_path]).trials[0]
    assert trial.hparams() == {} and trial.status() == ""
    (folder / "hparams.json").write_text('{"lr": 0.1}')
    (folder / "result.json").write_text(json.dumps({"status": "budget"}))
    assert trial.hparams() == {"lr": 0.1} and trial.status() == "budget"
    for text in ("[" * 100_000, "[1]", '{"a": ' + "9" * 5000 + "}", "{", '{"a": "\ud800"'):
        (folder / "hparams.json").write_bytes(text.encode(errors="surrogatepass"))
        with pytest.raises(LogsError, match="hparams.json"):
            trial.hparams()
    monkeypatch.setattr(read_json, "MOST_BYTES", 10)
    with pytest.raises(LogsError, match="at most 10"):
        trial.result()


def test_a_trial_whose_integrity_failed_reaches_nothing(tmp_path):
    folder = put(tmp_path, "s/study_0/wmt/trial_1")
    assert read_logs([tmp_path]).trials[0].first_hit("validation/loss", "min", 3) == 0
    (folder / "result.json").write_text('{"status": "integrity_error"}')
    logs = read_logs([tmp_path])
    assert logs.trials[0].first_hit("validation/loss", "min", 3) == -1
    assert "integrity_error" in kinds(logs)[0][2]
