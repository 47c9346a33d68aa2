"""How does a stranger's text become harmless?  No escape sequence reaches a terminal, no letter
that cannot be seen or that turns the line around reaches anybody, and nothing is endless.
"""

import re
from typing import Any

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links, the clipboard
    r"|[PX^_][^\x1b]*\x1b\\"  # device control
    r"|[ -/]*[0-~])"
)
_STRANGE = "\ufffd"


def clean(text: Any, most: int = 200) -> str:
    """One line of `text` that can be printed, of at most `most` letters."""
    words = str(text) if isinstance(text, (str, int, float, bool)) else repr(text)
    short = _ESCAPES.sub("", words[: 4 * most])
    shown = "".join(c if c.isprintable() else _STRANGE for c in short)
    cut = len(words) > 4 * most or len(shown) > most
    return shown[: most - 1] + "…" if cut else shown


def clean_lines(content: bytes, lines: int, most: int = 300) -> list[str]:
    """The last lines of a console.  Of a line that was written over (a progress bar) its last state
    is kept.
    """
    text = content.decode(errors="replace").replace("\r\n", "\n")
    last = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n") if line.strip()]
    return [clean(line.expandtabs(4), most) for line in last[-lines:]]
