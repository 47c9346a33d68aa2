"""Files of strangers are read within bounds, and never followed anywhere else."""

import os

import pytest

from algoperf_pt.watch.clean import clean, clean_lines
from algoperf_pt.watch.files import Unreadable, read_json, read_part, read_tail, read_whole


def test_parts_tails_and_wholes(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    assert read_part(str(path), 3, 4) == b"3456"
    assert read_tail(str(path), 4) == b"6789"
    assert read_tail(str(path), 40) == read_whole(str(path), 10) == b"0123456789"
    with pytest.raises(Unreadable, match="more than 9 bytes"):
        read_whole(str(path), 9)


def test_what_is_not_there_is_empty(tmp_path):
    assert read_json(str(tmp_path / "x"), 9) == {}
    assert read_tail(str(tmp_path / "x" / "y"), 9) == b""


def test_links_pipes_and_devices_are_refused_at_once(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (tmp_path / "link").symlink_to(secret)
    os.mkfifo(tmp_path / "pipe")
    for path, why in ((tmp_path / "link", "a link"), (tmp_path / "pipe", "no plain file")):
        with pytest.raises(Unreadable, match=why):
            read_part(str(path), 0, 9)
    with pytest.raises(Unreadable, match="no plain file"):
        read_part("/dev/zero", 0, 9)


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, "\ud800", '{"a": ' + "9" * 5000 + "}"])
def test_json_that_is_none_of_ours(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(Unreadable, match="no JSON"):
        read_json(str(path), 1 << 20)


@pytest.mark.parametrize(
    "text, shown",
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x\x1b]52;c;aGk=\x1b\\y", "xy"),
        ("a\x1b", "a\ufffd"),
        ("a\nb\r\tc\x9bd", "a\ufffdb\ufffd\ufffdc\ufffdd"),
        ("abc\u202egpj", "abc\ufffdgpj"),  # turns the rest of the line around
        ("\udcff", "\ufffd"),  # a name of a file that is no UTF-8
        ("ü ≤ 日本", "ü ≤ 日本"),
        ([1], "[1]"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_texts_become_harmless(text, shown):
    assert clean(text) == shown


def test_the_last_lines_of_a_console():
    content = b"first\n\n10 %\r20 %\r30 %\n\x1b[1mlast\x1b[0m\r\n\xff\n"
    assert clean_lines(content, 3) == ["30 %", "last", "\ufffd"]
