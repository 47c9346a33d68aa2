"""A headless Chromium for tests of the page: what it shows, and what a script in it finds.

Debian has it as `chromium-headless-shell`.  It is driven by its command line alone, so that no
driver has to match its version.
"""

import html
import json
import re
import shutil
import subprocess

import pytest

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
PROBE = re.compile(r'<pre id="probe">(.*?)</pre>', re.DOTALL)


def find():
    """The browser's path; the test is skipped where there is none."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser among {', '.join(NAMES)}: apt-get install {NAMES[0]}")
    return path


def _run(folder, url, *arguments):
    command = [find(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000"]
    done = subprocess.run([*command, *arguments, url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def dom(path, view="", width=1280):
    """The document as text, after its scripts have run."""
    size = f"--window-size={width},1000"
    return _run(path.parent, f"{path.as_uri()}#/{view}", size, "--dump-dom")


def shown(path, view="", width=1280):
    """The part of the document that a view fills."""
    return re.search(r"<main.*</main>", dom(path, view, width), re.DOTALL).group(0)


def screenshot(path, picture, view="", width=1280, height=1000):
    """Writes `picture` as PNG."""
    size = f"--window-size={width},{height}"
    _run(path.parent, f"{path.as_uri()}#/{view}", size, f"--screenshot={picture}")


def probe(path, script, view="", width=1280):
    """What `script`, the body of an async function, returns in the page; its value must be JSON.

    The page's own policy forbids any script but its own, so a copy without it is asked.
    """
    text = path.read_text()
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy".*?>')
    assert policy.search(text)
    asked = f"""<script>(async () => {{
      const out = document.createElement("pre");
      out.id = "probe";
      try {{ out.textContent = JSON.stringify(await (async () => {{ {script} }})()); }}
      catch (error) {{ out.textContent = JSON.stringify("threw " + error); }}
      document.body.append(out);
    }})();</script></body>"""
    copy = path.with_name("probed.html")
    copy.write_text(policy.sub("", text).replace("</body>", asked))
    return json.loads(html.unescape(PROBE.search(dom(copy, view, width)).group(1)))
