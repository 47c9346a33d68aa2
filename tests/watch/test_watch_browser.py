"""What does who watches in a browser see?  In a real one, at a desk and on a telephone."""

import math
import re
import threading

import pytest
from matplotlib.image import imread

from algoperf_pt.watch.server import Watcher, address, make_server
from algoperf_pt.watch.tree import Tree
from tests.support import browser, watched

OWNED = "<img src=x onerror=\"document.title='owned'\">"
RISING = [(t, 0.92 + 0.02 * math.log(t)) for t in range(1, 21)]


class Page:
    """An address, as tests.support.browser asks for a file."""

    def __init__(self, url, folder):
        self._url, self.parent = url, folder

    def as_uri(self):
        return self._url


class Hooked(Watcher):
    """Looks whenever it is asked, since the browser's clock runs faster; calls `after` before every
    look but the first."""

    def __init__(self, root, after):
        super().__init__(Tree(root), refresh=0.5)
        self.looks, self.after = 0, after

    def snapshot(self):
        self.looks += 1
        if self.looks > 1:
            self.after()
        return self.tree.look()


@pytest.fixture
def page(tmp_path):
    """Serves a tree."""
    browser.find()
    running = []

    def start(root, target="", after=lambda: None):
        server = make_server(Hooked(root, after), "127.0.0.1", 0)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((server, thread))
        return Page(address(server, "127.0.0.1") + target, tmp_path)

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "experiments"
    folder = watched.running(root, pairs=RISING, submission="a_submission_with_a_long_name")
    (folder / "console.log").write_text("a line of the console " * 20 + "\n")
    watched.ended(watched.running(root, trial=2), "hung", message="no step")
    return root


def trial(root):
    (view,) = [view for view in Tree(root).look().views if view.guess]
    return f"trial/{view.key}"


def test_what_changes_appears_by_itself(page, root):
    folder = watched.place(root, submission="a_submission_with_a_long_name")
    shown = browser.shown(page(root, after=lambda: watched.ended(folder, "budget")))
    assert "1 hung, 1 budget" in shown and "running" not in shown


def test_a_trial_that_vanishes_is_told(page, root):
    def gone():
        for path in watched.place(root, submission="a_submission_with_a_long_name").iterdir():
            path.unlink()

    shown = browser.shown(page(root, trial(root), after=gone))
    assert "unreadable" in shown and "<svg" not in shown


def test_a_server_that_has_gone_is_told(page, root):
    def fail():
        raise ConnectionAbortedError("as the test wants it")

    document = browser.dom(page(root, after=fail))
    assert re.search(r'<body [^>]*class="lost"', document)
    assert "1 running, 1 hung" in document


def test_the_browser_runs_the_pages_own_script_alone(page, tmp_path):
    """By the policy in the header, whatever a name may hold."""
    root = tmp_path / "experiments"
    name = OWNED.replace("/", "")
    folder = watched.running(root, submission=name)
    (folder / "console.log").write_text(f"</pre><script>document.title='owned'</script>{OWNED}")
    for target in ("", f"trial/{Tree(root).look().views[0].key}"):
        document = browser.dom(page(root, target))
        assert "<title>owned" not in document and "&lt;img src=x" in document


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("detail", [False, True])
def test_a_picture_of_the_page(page, root, tmp_path, width, detail):
    picture = tmp_path / "page.png"
    browser.screenshot(page(root, trial(root) if detail else ""), picture, width=width)
    pixels = imread(picture)[..., :3]
    assert pixels.shape[:2] == (1000, width)
    colour = pixels.max(-1) - pixels.min(-1) > 0.4
    assert 0.0005 < colour.mean() < 0.2
    assert (pixels.min(-1) > 0.94).mean() > 0.6  # white paper
    assert not colour[:, -3:].any()  # nothing runs out of the window


def test_a_curve_has_its_target_and_its_guess(page, root):
    shown = browser.shown(page(root, trial(root)))
    assert shown.count("<path") == 2  # validation, and the way to the target
    for part in ("target 0.985", "extrapolated", 'class="range"', "~ at 25.8 s"):
        assert part in shown
