"""What does an update cost?  For every submission and the real parameter shapes of every workload:
milliseconds, state, bytes sent, operations, each beside torch.optim.AdamW(foreach=True).

    python scripts/bench_optimizers.py --rules nadamw muon_torch_self --workloads ogbg wmt \\
        [--step-ms ogbg=120 wmt=900] [--json FILE] [--markdown FILE] [--device cpu] [--repeats 7]

Names are those of conf/submission and conf/workload; without them all that are scored.  AdamW and
the rule step in turn in one process, each on gradients that are there already; figures are medians.
What the columns mean: `--help`.
"""

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # run from a checkout, not installed

import psutil  # noqa: E402
import torch  # noqa: E402

from algoperf_pt.assemble import make_submission, make_workload  # noqa: E402
from algoperf_pt.errors import AlgoperfError  # noqa: E402
from algoperf_pt.hparams import Hparams  # noqa: E402
from algoperf_pt.ranks import Ranks  # noqa: E402
from algoperf_pt.spec import make_spec  # noqa: E402
from algoperf_pt.versions import compose_somehow  # noqa: E402
from algoperf_pt.view import Engine, TimeView, WorkloadView  # noqa: E402
from algoperf_pt.workload import Loss, Workload  # noqa: E402
from scripts.choices import command, ready_submissions, scored_workloads  # noqa: E402
from scripts.optimizer_costs import Cost, cost, put_counters, state_bytes  # noqa: E402

BYTES_HELD = 40  # an element: itself, its gradient, AdamW's state, and 24 for the rule's
WIDTH = 1024  # of the products that the speed of products is measured with
COLUMNS = """columns:
  ms           of an update: everything that the submission does beside forward and backward passes;
               with decompositions every f steps, the mean over f steps
  x AdamW      the same over AdamW's in the same run
  % of step    of the milliseconds given by --step-ms for the rest of a step
  B/param      bytes of state for each number trained
  MB sent      between ranks in a step beside the gradient, sum over ranks of what each sends once
  GFLOP        of matrix products and decompositions, the same mean
  x products   ms over what as many operations take in products of 1024 x 1024 matrices, which are
               timed before and after
  rare ms      of a step with decompositions"""


@dataclass(frozen=True)
class Row:
    """One rule on one workload.  Times in ms; None: not measured, see `note`."""

    workload: str
    rule: str
    elements: int
    ms: float | None = None
    adamw_ms: float | None = None
    ratio: float | None = None
    rare_ms: float | None = None
    share: float | None = None  # of the step, %
    state_per_param: float | None = None
    sent_mb: float | None = None
    gflop: float | None = None
    over_products: float | None = None
    note: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _arguments(arguments)
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    machine = f"device {options.device}, {options.threads} thread(s), torch {torch.__version__}"
    print(f"{machine}, load {psutil.getloadavg()[0]:.1f}", flush=True)
    rows = []
    for workload in options.workloads:
        for rule in options.rules:
            try:
                row = _row(workload, rule, options, device)
            except AlgoperfError as error:
                print(f"{workload}, {rule}: {error}", file=sys.stderr)
                return 2
            rows.append(row)
            gc.collect()  # a trial and its workload refer to each other: gigabytes would stay
            print(_line(row) if len(rows) > 1 else f"{_head()}\n{_line(row)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if options.markdown:
        options.markdown.write_text(_markdown(rows))
    return 0


def _row(workload_name: str, rule: str, options: argparse.Namespace, device: torch.device) -> Row:
    config = _config(workload_name, rule)
    with torch.device("meta"):
        workload = make_workload(config, make_spec(config), None).train()  # type: ignore[arg-type]
    note = _fit(workload, options.memory_gb)
    trial = _Trial(workload, config, device)
    counted = cost(trial.optimizers)
    facts: dict[str, Any] = {
        "workload": workload_name,
        "rule": rule,
        "elements": trial.elements,
        "sent_mb": counted.sent / 2**20,
        "gflop": counted.mean_flops / 1e9,
    }
    narrow = config["submission"]["optimizer"].get("ns_dtype") == "bfloat16"
    dtype = torch.bfloat16 if narrow else torch.float32
    speed = _speed(dtype, device)
    expected = (2 * counted.flops + counted.rare_flops) / speed  # warm-up and one measured
    if expected > options.limit_s:
        return Row(**facts, note=f"{note}not run: {expected:.0f} s of products".strip())
    ours, base, rare = trial.measure(options.repeats, counted, options.limit_s)
    mean = ours + (rare - ours) / counted.period if rare else ours
    step = options.step_ms.get(workload_name)
    speed = (speed + _speed(dtype, device)) / 2  # a shared machine's is not always the same
    products = 1e3 * counted.mean_flops / speed
    return Row(
        **facts,
        ms=mean,
        adamw_ms=base,
        ratio=trial.ratio if rare is None else mean / base,
        rare_ms=rare,
        share=None if step is None else 100 * mean / (step + mean),
        state_per_param=trial.state() / trial.elements,
        over_products=mean / products if products else None,
        note=note.strip(),
    )


class _Trial:
    """A submission, set up on parameters whose gradients are always the same, and AdamW on them."""

    def __init__(self, workload: Workload, config: dict[str, Any], device: torch.device) -> None:
        workload.to_empty(device=device)
        generator = torch.Generator(device).manual_seed(0)
        self.params = list(workload.model.parameters())
        self.device, self.elements = device, sum(p.numel() for p in self.params)
        with torch.no_grad():
            for p in self.params:
                p.normal_(0.0, 0.02, generator=generator)
        self.grads = [torch.randn(p.shape, generator=generator, device=device) for p in self.params]
        workload.loss = self._loss  # type: ignore[method-assign]
        time_view = TimeView(1.0, lambda: 0.0, lambda: [])
        engine = Engine(lambda *a, **k: None, lambda loss: self._put_gradients())
        self.view = WorkloadView(
            *(workload, engine, Ranks(device), time_view, 0),
            step=lambda: 10,
            wants_metrics=lambda: False,
            evaluate=lambda split: {},
        )
        self.submission = cast(Any, make_submission(config["submission"]))
        hparams = Hparams(config["submission"]["hparams"], set(config["submission"]["read"]))
        self.submission.setup(self.view, hparams)
        self.optimizers = [update.optimizer for update in self.submission.updates]
        self.adamw = torch.optim.AdamW(self.params, lr=1e-9, foreach=True)
        self.ratio = float("nan")

    def measure(
        self, repeats: int, counted: Cost, limit_s: float
    ) -> tuple[float, float, float | None]:
        """Milliseconds of an ordinary step, of AdamW's, and of a step with decompositions."""
        self._ours()  # makes the state
        put_counters(self.optimizers, rare=False)
        first = self._timed(self._ours)
        self._timed(self._adamw)
        pairs = [(first, self._timed(self._adamw))] if first > 250 * limit_s else []
        for _ in range(repeats):
            if pairs and sum(a + b for a, b in pairs) > 1e3 * limit_s:
                break
            put_counters(self.optimizers, rare=False)
            pairs.append((self._timed(self._ours), self._timed(self._adamw)))
        ours, base = (statistics.median(times) for times in zip(*pairs))
        self.ratio = statistics.median(a / b for a, b in pairs)
        rare = None
        if counted.period > 1:
            put_counters(self.optimizers, rare=True)
            rare = self._timed(self._ours)
        return ours, base, rare

    def state(self) -> int:
        """Bytes of everything that the submission would save."""
        held = (self.submission.state_dict(), self.submission.rank_state_dict())
        inside = [optimizer.state_dict()["state"] for optimizer in self.optimizers]
        return state_bytes([*held, *inside])

    def _ours(self) -> None:
        self.submission.step(self.view, {})

    def _adamw(self) -> None:
        self._put_gradients()
        self.adamw.step()

    def _put_gradients(self) -> None:
        for p, g in zip(self.params, self.grads):
            p.grad = g

    def _loss(self, *arguments: Any, **named: Any) -> Loss:
        one = torch.ones((), device=self.device)
        return Loss(one, one, one[None])

    def _timed(self, work: Callable[[], None]) -> float:
        _wait(self.device)
        start = time.perf_counter()
        work()
        _wait(self.device)
        return 1e3 * (time.perf_counter() - start)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _config(workload: str, rule: str) -> dict[str, Any]:
    """The composed configuration, with targets that know the workload."""
    return compose_somehow(command(workload, rule))[0]


def _fit(workload: Workload, memory_gb: float | None) -> str:
    """Cut rows of the largest tables until everything fits; says so."""
    free = memory_gb * 2**30 if memory_gb else 0.6 * psutil.virtual_memory().available
    most = int(free / BYTES_HELD)
    params = list(workload.model.parameters())
    total, kept = sum(p.numel() for p in params), 1
    while sum(p.numel() for p in params) > most and kept < 4096:
        kept *= 2
        for p in params:
            if p.dim() == 2 and p.shape[0] >= 2 * 65536:
                p.data = torch.empty(p.shape[0] // 2, p.shape[1], device="meta")
    after = sum(p.numel() for p in params)
    cut = f"tables cut: {after / 1e6:.0f} of {total / 1e6:.0f} M numbers; "
    return "" if after == total else cut


def _speed(dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second in products of square matrices."""
    a = torch.randn(WIDTH, WIDTH, device=device).to(dtype)
    times = []
    for _ in range(7):
        _wait(device)
        start = time.perf_counter()
        torch.mm(a, a)
        _wait(device)
        times.append(time.perf_counter() - start)
    return 2.0 * WIDTH**3 / statistics.median(times[2:])


_SHOWN = (
    ("workload", "workload", "{:28}"),
    ("rule", "rule", "{:24}"),
    ("ms", "ms", "{:10.2f}"),
    ("ratio", "x AdamW", "{:9.2f}"),
    ("share", "% of step", "{:9.1f}"),
    ("state_per_param", "B/param", "{:8.2f}"),
    ("sent_mb", "MB sent", "{:8.1f}"),
    ("gflop", "GFLOP", "{:9.1f}"),
    ("over_products", "x products", "{:10.1f}"),
    ("rare_ms", "rare ms", "{:10.1f}"),
)


def _cells(row: Row) -> list[str]:
    values = [getattr(row, key) for key, _, _ in _SHOWN]
    return [form.format(v) if v is not None else "-" for v, (_, _, form) in zip(values, _SHOWN)]


def _widths() -> list[int]:
    return [max(len(form.format(0 if "f" in form else "")), len(t)) for _, t, form in _SHOWN]


def _line(row: Row) -> str:
    cells = [cell.strip() for cell in _cells(row)]
    return f"{_aligned(cells)}  {row.note}".rstrip()


def _head() -> str:
    return _aligned([title for _, title, _ in _SHOWN])


def _aligned(cells: list[str]) -> str:
    """Two columns of words, then numbers."""
    padded = [cell.ljust(width) for cell, width in zip(cells[:2], _widths())]
    padded += [cell.rjust(width) for cell, width in zip(cells[2:], _widths()[2:])]
    return "  ".join(padded)


def _markdown(rows: list[Row]) -> str:
    lines = ["| " + " | ".join([*(title for _, title, _ in _SHOWN), "note"]) + " |"]
    lines.append("|---|---|" + "---:|" * (len(_SHOWN) - 2) + "---|")
    lines += ["| " + " | ".join([*(c.strip() for c in _cells(r)), r.note]) + " |" for r in rows]
    return "\n".join(lines) + "\n"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=COLUMNS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rules", nargs="+", default=ready_submissions(), metavar="NAME")
    parser.add_argument("--workloads", nargs="+", default=scored_workloads(), metavar="NAME")
    parser.add_argument("--step-ms", nargs="*", default=[], metavar="WORKLOAD=MS")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7, help="steps of each that count")
    parser.add_argument("--limit-s", type=float, default=60.0, help="about the most s a row takes")
    parser.add_argument("--memory-gb", type=float, help="default: 0.6 of the free")
    options = parser.parse_args(arguments)
    options.step_ms = {k: float(v) for k, _, v in (pair.partition("=") for pair in options.step_ms)}
    return options


if __name__ == "__main__":
    sys.exit(main())
