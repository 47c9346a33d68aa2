"""One HTML page: open it from a disk, send it by mail, print it.  It asks no server for anything.

Its parts lie beside this file in `page/`: the frame, the style, scripts for numbers, charts, views.
A content security policy names the one script and the one style by their hashes, so that the
browser runs nothing else and fetches nothing, whatever a log folder may be called.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from scoring.report.data import embedded

# in this order
SCRIPTS = ("core", "chart", "tables", "leaderboard", "submission", "trials", "main")


def page(data: Mapping[str, Any]) -> str:
    """The page for what `page_data` gives."""
    script = "\n".join(_part(f"{name}.js") for name in SCRIPTS)
    style = _part("page.css")
    return Template(_part("page.html")).substitute(
        title=html.escape(str(data["title"])),
        policy=f"default-src 'none'; img-src data:; script-src '{_hash(script)}'; "
        f"style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        data=embedded(data),
    )


def write_page(path: Path, data: Mapping[str, Any]) -> None:
    """Writes the page; a browser never sees half of it, since it is renamed when whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(page(data), encoding="utf-8")
    part.replace(path)


def _part(name: str) -> str:
    return files("scoring.report").joinpath("page", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
