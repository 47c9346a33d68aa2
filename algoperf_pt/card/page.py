"""`card.html`: the trial on one page.  No script, no outside request; whatever its files hold, it
is shown as text.
"""

import math
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from algoperf_pt.card import words
from algoperf_pt.card.parts import folded, note, section, stacked, table, text
from algoperf_pt.card.settings import differing
from algoperf_pt.config import flatten
from algoperf_pt.driver import CONFIG
from algoperf_pt.records import write_atomically
from algoperf_pt.result import RESULT
from algoperf_pt.watch.chart import chart
from algoperf_pt.watch.files import Unreadable, read_json
from algoperf_pt.watch.find import Place
from algoperf_pt.watch.life import now
from algoperf_pt.watch.reader import TrialReader

CARD = "card.html"
_MOST = 8 << 20  # bytes of a file
_MOST_FILES = 200
_PRINTS = ("config_sha256", "source_sha256", "data_fingerprint", "seed")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

Content = dict[str, Any]


def write_card(folder: Path) -> Path:
    """Make the page from the files that are there, and write it into the folder."""
    path = folder / CARD
    write_atomically(path, page(folder))
    return path


def page(folder: Path) -> str:
    """The whole document."""
    config, result = _json(folder, CONFIG), _json(folder, RESULT)
    environment = _json(folder, "environment.json")
    place = Place(*_names(folder), str(folder))
    view = TrialReader(place, folder.name, None).look(now())
    title = f"{view.workload} / {view.submission}, study {view.study}, trial {view.trial}"
    ledger = _ranks(_json(folder, "ledger.json"))
    body = [
        f"<h1>{text(title)}</h1>",
        f'<p class="lead">{text(words.ending(view, result))}</p>',
        "".join(note(odd) for odd in view.notes),
        section("Settings", *_settings(config)),
        section(f"{view.metric} over timed seconds", chart(view)),
        section("Where the time went (s)", stacked(ledger, "s"), _explain(ledger)),
        section("A step (ms)", *_phases(folder, ledger, result)),
        section("Memory at most (MiB)", _memory(result)),
        section("Fingerprints", _pairs({k: environment.get(k) for k in _PRINTS}, environment)),
        section("Environment", _environment(environment)),
        section("Files", _links(folder)),
    ]
    style = files("algoperf_pt.card").joinpath("assets", "card.css").read_text(encoding="utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{style}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _json(folder: Path, name: str) -> Content:
    """Content of a file; nothing where it cannot be read: the card shows what there is."""
    try:
        return read_json(str(folder / name), _MOST)
    except Unreadable:
        return {}


def _names(folder: Path) -> tuple[str, int, str, int]:
    """(submission, study, workload, trial) as the path says."""
    parts = ("", "", "", "", *folder.resolve().parts)[-4:]
    numbers = [p.rpartition("_")[2] for p in (parts[1], parts[3])]
    study, trial = (int(n) if n.isdecimal() and len(n) < 10 else 0 for n in numbers)
    return parts[0], study, parts[2], trial


def _settings(config: Content) -> Iterator[str]:
    if not config:
        return
    changed = differing(config)
    if changed is None:
        yield note("What of it differs from the defaults cannot be told: they cannot be composed.")
    elif changed:
        head = ("key", "value", "default")
        yield table(((k, _short(v), _short(d)) for k, (v, d) in changed.items()), head)
    else:
        yield note("Nothing differs from the defaults.")
    every = table((k, _short(v)) for k, v in flatten(config).items())
    yield folded("every key", every)


def _short(value: Any) -> str:
    return "none" if value is None else str(value)


def _ranks(content: Content) -> list[dict[str, float]]:
    """The numbers of each rank; what is no number is left out."""
    ranks = content.get("ranks")
    listed = [rank for rank in ranks if isinstance(rank, dict)] if isinstance(ranks, list) else []
    found = [{k: float(v) for k, v in rank.items() if _is_number(v)} for rank in listed]
    return found if all(rank.keys() == found[0].keys() for rank in found) else found[:1]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _explain(ledger: list[dict[str, float]]) -> str:
    return note(words.LEDGER) if ledger else ""


def _phases(folder: Path, ledger: list[dict[str, float]], result: Content) -> Iterator[str]:
    content = _json(folder, "phases.json")
    ranks = content.get("ranks")
    steps = result.get("step")
    listed = ranks if isinstance(ranks, list) else []
    parts = [rank["median"] for rank in listed if isinstance(rank, dict) and rank.get("median")]
    numbers = _ranks({"ranks": parts})
    if not numbers:
        if listed:
            yield note(words.UNSEEN)
        return
    waits = [rank.get("data", 0.0) for rank in ledger]
    shown = []
    for number, rank in enumerate(numbers):
        wait = waits[number] if number < len(waits) else 0.0
        data = {"data": wait / steps} if _is_number(steps) and steps else {}
        shown.append({k: 1000 * v for k, v in (data | rank).items()})
    yield stacked(shown, "ms")
    first = listed[0]
    yield note(words.sampled(first.get("steps"), first.get("every"), first.get("clock")))
    yield note(words.communication(result.get("ranks")))


def _memory(result: Content) -> str:
    memory = result.get("memory")
    ranks = [r for r in memory if isinstance(r, dict)] if isinstance(memory, list) else []
    names = {"peak_rss_bytes": "process", "peak_cuda_bytes": "tensors on the GPU"}
    names["peak_cuda_reserved_bytes"] = "reserved on the GPU"
    rows = []
    for number, rank in enumerate(ranks):
        known = {names[k]: v for k, v in rank.items() if k in names and _is_number(v)}
        rows += [(f"rank {number}: {k}", f"{v / 2**20:.1f}") for k, v in known.items()]
    return table(rows) if rows else ""


def _environment(environment: Content) -> str:
    rest = {k: v for k, v in environment.items() if k not in _PRINTS}
    return _pairs(flatten(rest), rest)


def _pairs(content: Content, there: Content) -> str:
    return table((k, _short(v)) for k, v in content.items()) if there else ""


def _links(folder: Path) -> str:
    there = (p for p in folder.iterdir() if p.name[0] != "." and p.name != CARD)
    names = sorted(p.name for p in there if p.is_dir() or p.stat().st_size)  # stacks of no hang: 0
    items = "".join(
        f'<li><a href="./{escape(quote(name, errors="surrogateescape"))}">{text(name)}</a></li>'
        for name in names[:_MOST_FILES]
    )
    return f"<ul>{items}</ul>"
