"""The web server shows, to those who may ask, and nothing else."""

import http.client
import re
import socket
import threading
from html.parser import HTMLParser

import pytest

from algoperf_pt.watch.page import MOST_ROWS
from algoperf_pt.watch.server import Watcher, address, make_server
from algoperf_pt.watch.tree import Tree
from tests.support import watched

OWNED = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.fixture
def serve():
    """A server for a folder, that runs until the end of the test."""
    running = []

    def start(root, host="127.0.0.1", refresh=0.0):
        server = make_server(Watcher(Tree(root), refresh), host, 0)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


def ask(server, target="/", method="GET", **headers):
    """(status, headers, text) of an answer."""
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)
    connection.putrequest(method, target, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


def raw(server, request):
    """The first line of the answer to some bytes."""
    with socket.create_connection(server.server_address[:2], timeout=10) as connection:
        connection.sendall(request)
        return connection.makefile("rb").readline().decode()


def main_of(text):
    return re.search(r"<main>.*</main>", text, re.DOTALL).group(0)


def test_the_page_of_all_and_of_one(serve, tmp_path):
    folder = watched.running(tmp_path)
    (folder / "console.log").write_text("first\nlast line\n")
    server = serve(tmp_path)
    status, headers, text = ask(server)
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    for part in ("1 running", "nadamw", "0.985", "3.0 s (10 %)", 'value="0.100"'):
        assert part in main_of(text)
    link = re.search(r'href="(/trial/[0-9a-f]{16})"', text).group(1)
    status, _, text = ask(server, link)
    for part in ("digits / nadamw, study 0, trial 1", "last line", "<svg", "learning_rate"):
        assert part in main_of(text)
    assert "0.75 on validation at 2.0 s; target 0.985" in text


def test_a_page_is_as_new_as_its_files(serve, tmp_path):
    folder = watched.running(tmp_path)
    server = serve(tmp_path)
    assert "1 running" in ask(server)[2]
    watched.ended(folder, "budget")
    assert "1 budget" in ask(server)[2]


def test_nobody_looks_more_often_than_asked(serve, tmp_path):
    folder = watched.running(tmp_path)
    server = serve(tmp_path, refresh=60.0)
    assert "1 running" in ask(server)[2]
    watched.ended(folder, "budget")
    assert "1 running" in ask(server)[2]


def test_groups_filters_and_pages(serve, tmp_path):
    for trial in range(1, MOST_ROWS + 11):
        watched.planned(watched.place(tmp_path, trial=trial))
    watched.ended(watched.running(tmp_path, submission="adamw"))
    server = serve(tmp_path, refresh=60.0)
    assert ask(server)[2].count("<tr>") == MOST_ROWS + 1
    last = main_of(ask(server, "/?page=2")[2])
    assert last.count("<tr>") == 1 + 11 and "page 2 of 2, 311 trials" in last
    assert ask(server, "/?show=reached")[2].count("<tr>") == 2
    by = main_of(ask(server, "/?by=submission&only=adamw")[2])
    assert by.count("<tr>") == 2 and "<h2>" in by
    for odd in ("page=999", "page=-1", "page=%00", "by=x", "show=x", "only=%3Cx", "&"):
        assert ask(server, f"/?{odd}")[0] == 200
    assert ask(server, "/?" + "a=1&" * 99)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_everything_but_get_and_head_is_refused(serve, tmp_path, method):
    status, headers, _ = ask(serve(tmp_path), method=method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head_is_get_without_a_body(serve, tmp_path):
    watched.running(tmp_path)
    server = serve(tmp_path, refresh=60.0)
    _, headers, text = ask(server)
    status, found, nothing = ask(server, method="HEAD")
    assert (status, nothing) == (200, "")
    assert found["Content-Length"] == headers["Content-Length"] == str(len(text.encode()))


@pytest.mark.parametrize(
    "name, status",
    [
        ("localhost", 200),
        ("LOCALHOST:9000", 200),  # through a tunnel
        ("127.0.0.1:80", 200),
        ("[::1]:80", 200),
        ("10.1.2.3", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:80", 421),
        ("localhost@evil.example", 421),
        ("evil.example/localhost", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_a_page_of_somebody_else_cannot_ask(serve, tmp_path, name, status):
    watched.running(tmp_path)
    found, _, text = ask(serve(tmp_path), Host=name)
    assert found == status
    assert ("nadamw" in text) == (status == 200)


def test_no_name_or_two_are_refused(serve, tmp_path):
    server = serve(tmp_path)
    assert "421" in raw(server, b"GET / HTTP/1.0\r\n\r\n")
    assert "421" in raw(server, b"GET / HTTP/1.0\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")


def test_a_name_that_was_given_may_be_asked_for(serve, tmp_path):
    server = serve(tmp_path, host="localhost")
    assert ask(server, Host="localhost")[0] == 200
    assert address(server, "localhost") == f"http://localhost:{server.server_address[1]}/"


@pytest.mark.parametrize(
    "target",
    [
        "/../../etc/passwd",
        "/trial/../../../etc/passwd",
        "/trial/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/trial/nadamw/study_0/digits/trial_1",
        "/trial/%00",
        "/trial/" + "a" * 5000,
        "/nadamw",
        "//[",
    ],
)
def test_no_address_is_a_path(serve, tmp_path, target):
    watched.running(tmp_path)
    status, _, text = ask(serve(tmp_path), target)
    assert status == 404 and "Not here" in text
    assert "root:" not in text and target not in text


def test_the_policy(serve, tmp_path):
    server = serve(tmp_path)
    for target, method in (("/", "GET"), ("/nowhere", "GET"), ("/", "POST")):
        _, headers, _ = ask(server, target, method)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in headers


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, text):
        super().__init__()
        self.seen, self.attributes = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attributes}


def test_hostile_contents_are_text(serve, tmp_path):
    content = watched.config()
    content["targets"]["workloads"]["digits"]["metric"] = OWNED
    content["submission"]["hparams"] = {OWNED: OWNED}
    names = {"submission": OWNED.replace("/", "\\"), "workload": OWNED.replace("/", "")}
    folder = watched.place(tmp_path, **names)
    watched.started(folder, content)
    head = '"validation/' + OWNED.replace('"', '""') + '"'
    (folder / "eval_measurements.csv").write_text(f"score,{head}\n1,0.5\n2,0.6\n")
    (folder / "console.log").write_text(OWNED + "\x1b[31m\n</pre></main>" + OWNED)
    watched.ended(folder, "error", message=OWNED)
    server = serve(tmp_path)
    text = ask(server)[2]
    link = re.search(r'href="(/trial/[0-9a-f]{16})"', text).group(1)
    for page in (text, ask(server, link)[2], ask(server, "/?by=submission")[2]):
        main = Tags(main_of(page))
        assert not main.seen & {"script", "img", "iframe", "style", "form", "link", "base"}
        assert not [name for name in main.attributes if name.startswith("on")]
        assert page.count("<script>") == 1
        assert "alert(1)" in page and "\x1b" not in page
    assert "<svg" in ask(server, link)[2]


def test_a_reader_who_leaves_or_stays_silent_harms_nobody(serve, tmp_path):
    server = serve(tmp_path)
    with socket.create_connection(server.server_address[:2]):
        assert ask(server)[0] == 200
    assert raw(server, b"nonsense\r\n\r\n")
    assert ask(server)[0] == 200
