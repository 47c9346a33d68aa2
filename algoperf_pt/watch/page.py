"""What does the browser show?  HTML that is whole without a script; the script only asks for it
again.  Everything that comes from files goes through `html.escape`.
"""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from urllib.parse import urlencode

from algoperf_pt.watch.chart import chart
from algoperf_pt.watch.extrapolate import __doc__ as METHOD
from algoperf_pt.watch.tree import GROUPINGS, Snapshot, counts, groups
from algoperf_pt.watch.view import (
    Kind,
    Live,
    View,
    figure,
    seconds,
    state_words,
    target_words,
    used_words,
)

MOST_ROWS = 300  # of a page
_TITLE = "Trials"
_COLUMNS = (
    *("study/trial", "status", "best", "target", "time used"),
    *("evals", "s/step", "reaches target", "attempts"),
)
_NUMBERS = {"best", "target", "evals", "s/step", "attempts"}
_WIDE = {"s/step", "attempts", "evals"}  # not on a telephone
_NOTE = "<p class=note>~ is extrapolated, by a line over log time: a guess, not a result.</p>"


def _asset(name: str) -> str:
    return files("algoperf_pt.watch").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


_SCRIPT, _STYLE = _asset("watch.js"), _asset("watch.css")
POLICY = (
    f"default-src 'none'; script-src '{_hash(_SCRIPT)}'; style-src '{_hash(_STYLE)}'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def overview_page(
    root: str, snapshot: Snapshot, asked: Mapping[str, str], refresh: float
) -> str:
    """All trials, or those that are asked for.

    Args:
        root: the folder, as it was given.
        snapshot: its trials.
        asked: by: one of GROUPINGS; show: one of Kind; only: title of one group; page: from 1.
        refresh: s between looks.
    """
    by = asked.get("by", "")
    by = by if by in GROUPINGS else GROUPINGS[0]
    kept = [v for v in snapshot.views if asked.get("show") in (None, v.kind.value)]
    found = groups(kept, by)
    if "only" in asked:
        found = [group for group in found if group.title == asked["only"]]
    rows = [(group, view) for group in found for view in group.views]
    pages = max(1, math.ceil(len(rows) / MOST_ROWS))
    page = min(max(1, _whole(asked.get("page", "1"))), pages)
    part = rows[(page - 1) * MOST_ROWS : page * MOST_ROWS]
    body = [f"<h1>{escape(counts(snapshot.views))}</h1>", _choices(by, asked)]
    for group in found:
        shown = [view for other, view in part if other is group]
        if shown:
            body.append(_heading(group.title, by, group.views) + _table(shown, by))
    if any(view.guess for _, view in part):
        body.append(_NOTE)
    body.append(_pages(page, pages, len(rows), asked))
    body += [f"<p class=note>{escape(note)}</p>" for note in snapshot.notes]
    return _document(f"{_TITLE}: {root}", root, "".join(body), refresh)


def trial_page(view: View, log: Sequence[str], refresh: float) -> str:
    """One trial: its figures, curve, hyperparameters and last lines."""
    pairs = [
        ("status", f"<span class={_class(view)}>{escape(state_words(view))}</span>"),
        ("why", escape(view.message)),
        (f"best {view.metric}", escape(_best_words(view))),
        ("time used", escape(_budget_words(view))),
        ("reaches target", escape(target_words(view)) + (" (extrapolated)" if view.guess else "")),
        ("last sign of life", "" if view.silent is None else f"{seconds(view.silent)} ago"),
        ("evaluations", str(view.evaluations)),
        ("steps", figure(view.step, 10)),
        ("s/step", figure(view.step_time, 3)),
        ("attempts", str(view.attempts)),
        ("folder", escape(view.path)),
    ]
    hparams = [(name, escape(value)) for name, value in view.facts.hparams]
    curve = chart(view)
    body = [f"<h1>{escape(view.name)}</h1>{_pairs(pairs)}"]
    body += [f"<p class=note>{escape(note)}</p>" for note in view.notes]
    body += [f"<h2>{escape(view.metric)}</h2><figure>{curve}</figure>"] if curve else []
    body += [f"<p class=note>{escape(METHOD or '')}</p>"] if view.guess else []
    body += [f"<h2>Hyperparameters</h2>{_pairs(hparams)}"] if hparams else []
    body += [f"<h2>Last lines</h2><pre>{escape(chr(10).join(log))}</pre>"] if log else []
    return _document(view.name, "", "".join(body), refresh)


def missing_page() -> str:
    """For an address that leads nowhere."""
    return _document("Not here", "", "<h1>Not here</h1><p>No such trial, or no longer.</p>", 10)


def _document(title: str, place: str, main: str, refresh: float) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<noscript><meta http-equiv="refresh" content="{max(1, round(refresh))}"></noscript>'
        f'<title>{escape(title)}</title><link rel="icon" href="data:,">'
        f'<style>{_STYLE}</style></head><body data-refresh="{refresh:g}">'
        f'<header><a href="/">{_TITLE}</a><span class="note">{escape(place)}</span> '
        '<span id="lost" role="status">no answer: what stands here is old</span></header>'
        f"<main>{main}</main><script>{_SCRIPT}</script></body></html>"
    )


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    """Names, which are escaped here, and HTML; without those that are empty."""
    shown = "".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>" for name, text in pairs if text)
    return f"<dl>{shown}</dl>"


def _choices(by: str, asked: Mapping[str, str]) -> str:
    kinds: list[tuple[str, str | None]] = [("all", None), *((k.value, k.value) for k in Kind)]
    first = " ".join(_link(n, {**asked, "by": n, "only": None}, n == by) for n in GROUPINGS)
    show = asked.get("show")
    second = " ".join(_link(n, {**asked, "show": k}, k == show) for n, k in kinds)
    return f"<nav>by {first}</nav><nav>show {second}</nav>"


def _link(text: str, asked: Mapping[str, str | None], here: bool = False) -> str:
    if here:
        return f"<b>{escape(text)}</b>"
    known = ("by", "show", "only", "page")
    query = urlencode({k: v for k, v in asked.items() if k in known and v is not None})
    return f'<a href="/?{escape(query)}">{escape(text)}</a>'


def _heading(title: str, by: str, views: Sequence[View]) -> str:
    link = _link(title, {"by": by, "only": title})
    trials = {view.facts.of_study for view in views}
    known = [number for number in trials if number is not None]
    of_study = f"; a study has {known[0]} by its rule set" if len(known) == 1 == len(trials) else ""
    return f"<h2>{link}</h2><p class=note>{escape(counts(views))}{of_study}</p>"


def _table(views: Sequence[View], by: str) -> str:
    names = [name for name in GROUPINGS if name not in (by, "study")]
    head = "".join(_cell("th", name, escape(name)) for name in (*names, *_COLUMNS))
    rows = "".join(f"<tr>{_row(view, names)}</tr>" for view in views)
    inner = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return f"<div class=scroll><table>{inner}</table></div>"


def _row(view: View, names: Sequence[str]) -> str:
    best = None if view.best is None else view.best.validation
    share = view.share
    bar = "" if share is None else f'<progress max="1" value="{min(1.0, share):.3f}"></progress>'
    cells = {
        "study/trial": f'<a href="/trial/{view.key}">{view.study}/{view.trial}</a>',
        "status": f"<span class={_class(view)}>{escape(state_words(view))}</span>",
        "best": f'<span title="{escape(view.metric)}">{figure(best)}</span>',
        "target": figure(view.facts.target),
        "time used": bar + escape(used_words(view)),
        "evals": str(view.evaluations),
        "s/step": figure(view.step_time, 3),
        "reaches target": escape(target_words(view)),
        "attempts": str(view.attempts),
    }
    first = "".join(f"<td class=name>{escape(str(getattr(view, name)))}</td>" for name in names)
    return first + "".join(_cell("td", name, cells[name]) for name in _COLUMNS)


def _cell(tag: str, name: str, text: str) -> str:
    which = (("number", _NUMBERS), ("wide", _WIDE), ("state", {"status"}))
    classes = [word for word, names in which if name in names]
    return f'<{tag} class="{" ".join(classes)}">{text}</{tag}>'


def _class(view: View) -> str:
    alarming = view.state in (Live.STALLED, Live.UNREADABLE)
    return view.state.value if alarming else view.kind.value


def _best_words(view: View) -> str:
    best, target = view.best, view.facts.target
    goal = "no target is known" if target is None else f"target {figure(target, 6)}"
    if best is None:
        return f"none yet; {goal}"
    return f"{figure(best.validation, 6)} on validation at {seconds(best.time)}; {goal}"


def _budget_words(view: View) -> str:
    budget = view.facts.budget
    return used_words(view) + ("" if budget is None else f" of {seconds(budget)}")


def _pages(page: int, pages: int, rows: int, asked: Mapping[str, str]) -> str:
    if pages == 1:
        return ""
    before = _link("before", {**asked, "page": str(page - 1)}) if page > 1 else ""
    after = _link("next", {**asked, "page": str(page + 1)}) if page < pages else ""
    return f"<nav>page {page} of {pages}, {rows:,} trials {before} {after}</nav>"


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1
