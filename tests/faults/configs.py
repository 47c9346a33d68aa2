"""Wrong configurations: unknown keys, wrong types, impossible values, groups that are not there,
classes that cannot be made.  Drawn by hypothesis.
"""

import contextlib
import io
import string
from dataclasses import dataclass
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from algoperf_pt import cli
from tests.faults.table import Fault, Seen
from tests.support.runs import QUIET

WORDS = st.text(string.ascii_lowercase, min_size=3, max_size=9).map(lambda text: f"zz{text}")
GROUPS = ("workload", "submission", "trainer", "logger", "data", "ruleset", "targets.protocol")
DICTS = ("workload.model", "workload.data.options", "submission.optimizer", "submission.schedule")
CLASSES = (
    *("workload._target_", "workload.data._target_", "submission._target_", "clock._target_"),
    *("submission.optimizer._target_", "submission.schedule._target_"),
)
WHOLE = {
    **{"study": 0, "trial": 1, "seed": 0, "base_seed": 0, "max_steps": 1, "eval_every_steps": 1},
    **{"keep_checkpoints": 2, "workload.eval_batch_size": 1, "workload.baseline_batch_size": 1},
    **{"submission.batch_size": 1, "trainer.threads": 1, "logger.first": 0, "logger.every": 1},
    **{"data.workers": 0, "data.prefetch": 1, "targets.workloads.digits.step_hint": 1},
    **{f"workload.num_examples.{split}": 1 for split in ("train", "eval_train", "validation")},
}
POSITIVE = (
    *("pause_at", "submission.grad_clip", "submission.stop_factor", "targets.protocol.setup_limit"),
    *(f"trainer.{name}" for name in ("hang_steps", "hang_floor", "hang_timeout", "eval_timeout")),
    *("targets.workloads.digits.max_runtime", "targets.workloads.digits.eval_period"),
)
RATES = ("submission.label_smoothing", "submission.dropout_rate", "workload.dropout_rate")
CHOICES = (
    *("display", "workload.tier", "workload.compile", "submission.tuning", "ruleset.tuning"),
    *("trainer.accelerator", "trainer.devices", "targets.workloads.digits.direction"),
    *("submission.schedule", "submission.average", "workload.name", "ruleset.name"),
)
SWITCHES = ("logger.tensorboard", "trainer.tf32", "trainer.compile", "targets.protocol.strict")


@dataclass(frozen=True)
class Wrong:
    """A wrong configuration.

    Args:
        kind: for the table.
        word: as typed.
        names: what the message must hold.
    """

    kind: str
    word: str
    names: tuple[str, ...]


def _wrong(kind, key, value):
    """`key=value`; the message names both."""
    shown = str(value).strip("[]{}'")
    return Wrong(kind, f"{key}={value}", (key.split(".")[-1].lstrip("+"), shown))


def _unknown(draw):
    group, name = draw(st.sampled_from(("", *GROUPS))), draw(WORDS)
    plus = draw(st.sampled_from(("", "+")))
    key = f"{plus}{group}.{name}" if group else f"{plus}{name}"
    return Wrong("unknown key", f"{key}={draw(st.integers(0, 99))}", (name,))


def _argument(draw):
    name = draw(WORDS)
    return Wrong("unknown argument", f"+{draw(st.sampled_from(DICTS))}.{name}=1", (name,))


def _type(draw):
    key = draw(st.sampled_from((*WHOLE, *POSITIVE, *SWITCHES[:3])))
    return _wrong("wrong type", key, draw(WORDS | st.just("[1,2]") | st.just("{a:1}")))


def _value(draw):
    kind = draw(st.sampled_from(("whole", "positive", "rate")))
    if kind == "whole":
        key = draw(st.sampled_from(sorted(WHOLE)))
        return _wrong("impossible value", key, WHOLE[key] - draw(st.integers(1, 1000)))
    if kind == "positive":
        values = st.sampled_from((0, -0.5, "nan", "inf", "-inf")) | st.integers(-1000, -1)
        return _wrong("impossible value", draw(st.sampled_from(POSITIVE)), draw(values))
    values = st.sampled_from((1, 1.5, -0.1, "nan", 7))
    return _wrong("impossible value", draw(st.sampled_from(RATES)), draw(values))


def _choice(draw):
    return _wrong("no such choice", draw(st.sampled_from(CHOICES)), draw(WORDS))


def _group(draw):
    groups = ("workload", "submission", "targets", "ruleset", "trainer", "logger", "data")
    return _wrong("no such group", draw(st.sampled_from(groups)), draw(WORDS))


def _class(draw):
    name = draw(WORDS)
    place = draw(st.sampled_from((f"{name}.Thing", f"optimizers.{name}", f"torch.optim.{name}")))
    return Wrong("no such class", f"{draw(st.sampled_from(CLASSES))}={place}", (name,))


def _syntax(draw):
    key = draw(st.sampled_from(sorted(WHOLE)))
    word = draw(st.sampled_from((f"{key}", f"{key}=[1", f"{key}={{a", f"={key}", f"{key} 3")))
    return Wrong("no override", word, (key.split(".")[-1],))


@st.composite
def wrong_configs(draw):
    """Each kind as often as the others."""
    kinds = (_unknown, _argument, _type, _value, _choice, _group, _class, _syntax)
    return draw(st.sampled_from(kinds))(draw)


def refused(place, wrong):
    """What came of a wrong configuration: the command, in this process; a trial would be run."""
    words = ["workload=digits", f"data.dir={place.data}", f"experiment_dir={place.scratch / 'e'}"]
    words += [*QUIET, "max_steps=1", "eval_every_steps=1", wrong.word]
    words = [word for word in words if word.partition("=")[0] != wrong.word.partition("=")[0]]
    out = io.StringIO()
    with contextlib.redirect_stderr(out), contextlib.redirect_stdout(out):
        with patch("algoperf_pt.driver.supervise", _without_a_fork):
            try:
                cli.main([*words, wrong.word])
            except SystemExit as stop:
                code = stop.code
    said = out.getvalue()
    return Seen(f"{wrong.kind}: refused ({code})", said, _missing(place, wrong, code, said))


def _without_a_fork(run, folder, rank, limits):
    from algoperf_pt.heartbeat import Heartbeat

    return run(Heartbeat())


def _missing(place, wrong, code, said):
    """What a refusal must be and is not."""
    parts = [part for part in (*wrong.names, "expected: ", "fix: ") if part not in said]
    problems = [
        f"exit code {code}" if code != 2 else "",
        "a traceback" if "Traceback" in said else "",
        f"a folder: {place.scratch / 'e'}" if (place.scratch / "e").exists() else "",
        f"the message lacks {parts}" if parts else "",
    ]
    found = ", ".join(filter(None, problems))
    return f"{wrong.word}: {found}: {said[-600:]}" if found else ""


def drawn(rng):
    """A wrong configuration by a generator's number."""
    found = []

    @seed(int(rng.integers(2**32)))
    @settings(
        max_examples=4,  # the first is the simplest there is
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(wrong_configs())
    def draw(wrong):
        found.append(wrong)

    draw()
    return found[-1]


FAULTS = [
    Fault(
        "a wrong configuration",
        "one message with key, value, what is expected and the next step; no traceback, no folder",
        lambda place, rng: refused(place, drawn(rng)),
        times=200,
        few=0,  # test_bad_configs.py draws its own
        outcomes=tuple(
            f"{kind}: refused (2)"
            for kind in (
                *("unknown key", "unknown argument", "wrong type", "impossible value"),
                *("no such choice", "no such group", "no such class", "no override"),
            )
        ),
    )
]
