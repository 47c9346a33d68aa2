"""Who may ask what, and what is answered?  A small web server of the standard library that reads.

- It listens on 127.0.0.1 unless told otherwise.  Nobody is asked for a password.
- GET and HEAD; everything else is 405.  Addresses are looked up in a table: none is a path.
- The Host header must be an address in numbers, localhost, or the name that was given: a page of
  somebody else cannot reach this server under a name of its own (DNS rebinding).
- The policy in the header lets the browser run the page's own script and style and nothing else.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from algoperf_pt.errors import ConfigError
from algoperf_pt.watch.page import POLICY, missing_page, overview_page, trial_page
from algoperf_pt.watch.tree import Snapshot, Tree

_TIMEOUT = 10.0  # s for a request to arrive
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Watcher:
    """The newest look at a tree, shared by all who ask.

    Args:
        tree: what is looked at.
        refresh: s after which a look is old.
    """

    def __init__(self, tree: Tree, refresh: float) -> None:
        self.tree, self.refresh = tree, refresh
        self._lock = threading.Lock()
        self._due = 0.0
        self._snapshot = Snapshot((), ())

    def snapshot(self) -> Snapshot:
        """A look that is not old; nobody looks while nobody asks."""
        with self._lock:
            if time.monotonic() >= self._due:
                self._snapshot = self.tree.look()
                self._due = time.monotonic() + self.refresh
            return self._snapshot

    def log(self, key: str) -> list[str]:
        """The last lines of a trial's console."""
        with self._lock:
            return self.tree.log(key)


def serve(
    tree: Tree, host: str, port: int, refresh: float, told: Callable[[str], None] = print
) -> None:
    """Answer until Ctrl-C.

    Args:
        tree: what is shown.
        host: address to listen on.
        port: 0: any that is free.
        refresh: s between looks.
        told: hears the address.

    Raises:
        ConfigError: the address cannot be had.
    """
    with make_server(Watcher(tree, refresh), host, port) as server:
        told(f"watching {tree.name} at {address(server, host)} (Ctrl-C ends)")
        if not _is_local(host):
            told(f"note: whoever reaches {host} sees everything here; there is no password")
        server.serve_forever()


def make_server(watcher: Watcher, host: str, port: int) -> ThreadingHTTPServer:
    """A server that listens and does not answer yet.

    Raises:
        ConfigError: the address cannot be had.
    """
    handler = type("Handler", (_Handler,), {"watcher": watcher, "host": host.lower()})
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = type("Server", (ThreadingHTTPServer,), {"address_family": family})
        server: ThreadingHTTPServer = made((host, port), handler)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {error}",
            expected="an address of this machine, and a port that is free",
            where="--host, --port",
            fix="--port 0 takes any that is free",
        ) from error
    return server


def address(server: ThreadingHTTPServer, host: str) -> str:
    """What to type into a browser."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{server.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    watcher: Watcher
    host: str  # as it was given
    timeout = _TIMEOUT
    server_version, sys_version = "algoperf_pt", ""

    def do_GET(self) -> None:
        """A page."""
        if not _may_be_called(self.headers.get_all("Host") or [], self.host):
            text = "This server has another name; use the address that it has printed.\n"
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, text, "text/plain")
            return
        self._answer(*_page(self.watcher, self.path), "text/html")

    do_HEAD = do_GET

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # http.server asks for the method of that name
            return self._refuse
        raise AttributeError(name)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal is the user's."""

    def _refuse(self) -> None:
        self.close_connection = True  # a body may follow
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, "This server only shows.\n", "text/plain")

    def _answer(self, status: HTTPStatus, text: str, kind: str) -> None:
        content = text.encode("utf-8", errors="replace")
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            try:
                self.wfile.write(content)
            except ConnectionError:  # the reader has left
                self.close_connection = True


def _page(watcher: Watcher, target: str) -> tuple[HTTPStatus, str]:
    try:
        parts = urlsplit(target)
        found = parse_qs(parts.query, max_num_fields=20)
    except ValueError:
        return HTTPStatus.NOT_FOUND, missing_page()
    asked = {name: values[0] for name, values in found.items()}
    snapshot, words = watcher.snapshot(), unquote(parts.path).strip("/").split("/")
    if words == [""]:
        return HTTPStatus.OK, overview_page(watcher.tree.name, snapshot, asked, watcher.refresh)
    if len(words) == 2 and words[0] == "trial":
        view = next((view for view in snapshot.views if view.key == words[1]), None)
        if view is not None:
            return HTTPStatus.OK, trial_page(view, watcher.log(view.key), watcher.refresh)
    return HTTPStatus.NOT_FOUND, missing_page()


def _may_be_called(names: list[str], given: str) -> bool:
    """Whether a Host header is one that only a user of this server can have sent."""
    if len(names) != 1:
        return False
    try:
        name = (urlsplit(f"//{names[0].strip()}").hostname or "").lower()
    except ValueError:
        return False
    return name in {"localhost", given} or _is_number(name)


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_local(host: str) -> bool:
    return host == "localhost" or (_is_number(host) and ipaddress.ip_address(host).is_loopback)
