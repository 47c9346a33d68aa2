"""Downloads against a server on this machine: resumed, checked, and clear when they fail."""

import hashlib
import http.server
import threading

import pytest

from algoperf_pt.data.download import download
from algoperf_pt.data.preparer import RawFile
from algoperf_pt.errors import DataError

CONTENT = bytes(range(256)) * 5000  # 1.3 MB


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; can know ranges, and can break off."""

    ranges, break_after, requests = True, None, []

    def do_GET(self):
        kind = type(self)
        start = 0
        asked = self.headers.get("Range")
        kind.requests.append(asked)
        if self.path != "/file":
            return self.send_error(404)
        if asked and kind.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(CONTENT):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = len(CONTENT)
        if kind.break_after:
            end, kind.break_after = start + kind.break_after, None
        self.wfile.write(CONTENT[start:end])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def address():
    handler = type("Handler", (Server,), {"requests": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    server.server_close()


def raw_file(url, **changes):
    digest = hashlib.sha256(CONTENT).hexdigest()
    facts = {"sha256": digest, "bytes": len(CONTENT), **changes}
    return RawFile("data.bin", f"{url}/file", **facts)


def fetch(file, folder):
    return download(file, folder, tries=3, patience=0.01, quiet=True)


def test_fetched_once(address, tmp_path):
    url, handler = address
    path = fetch(raw_file(url), tmp_path / "raw")
    assert path.read_bytes() == CONTENT
    fetch(raw_file(url), tmp_path / "raw")
    assert len(handler.requests) == 1
    assert [p.name for p in path.parent.iterdir()] == ["data.bin"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_connection_is_resumed(address, tmp_path, ranges):
    url, handler = address
    handler.break_after, handler.ranges = 700_000, ranges
    assert fetch(raw_file(url), tmp_path).read_bytes() == CONTENT
    assert len(handler.requests) == 2
    assert handler.requests[1].startswith("bytes=")


def test_goes_on_in_another_process(address, tmp_path):
    url, handler = address
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:1000])
    assert fetch(raw_file(url), tmp_path).read_bytes() == CONTENT
    assert handler.requests == ["bytes=1000-"]


def test_a_complete_part_is_taken(address, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    assert fetch(raw_file(address[0]), tmp_path).read_bytes() == CONTENT


def test_another_checksum(address, tmp_path):
    with pytest.raises(DataError, match="SHA-256 .* expected 0000"):
        fetch(raw_file(address[0], sha256="0" * 64), tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="1280000 bytes, expected 5"):
        fetch(raw_file(address[0], bytes=5, sha256=None), tmp_path)


def test_no_such_file_no_server_no_address(address, tmp_path):
    with pytest.raises(DataError, match="answers 404"):
        fetch(RawFile("data.bin", f"{address[0]}/other"), tmp_path)
    with pytest.raises(DataError, match="could not be fetched in 3 tries: ConnectionError"):
        fetch(RawFile("data.bin", "http://127.0.0.1:9/file"), tmp_path)
    with pytest.raises(DataError, match="has no plain address"):
        fetch(RawFile("data.bin"), tmp_path)
