"""What is compared before and after every call of a submission?  Functions, flags, environment,
generators, the model, and what the interpreter saw.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from algoperf_pt.check.events import Listener, Seen
from algoperf_pt.check.findings import FAIL, WARN
from algoperf_pt.check.fixed import CLOCK, Functions, shadowed
from algoperf_pt.check.flags import Generators, differences, read_environment, read_flags
from algoperf_pt.check.notes import Notes, few
from algoperf_pt.check.parameters import Model
from algoperf_pt.check.stored import holds_model
from algoperf_pt.trial import Trial

_LEAVE = "leave it as it is"


class Looks:
    """The process as it is now, before the submission's module is imported.

    Args:
        notes: where findings go.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._listener = Listener()
        self._generators, self._functions = Generators(), Functions()
        self._flags, self._environment = read_flags(), read_environment()
        self._own_files: set[str] = set()  # written by the submission itself
        self._folder = os.devnull
        self._model: Model | None = None
        self._parameters: list[Any] = []
        self._things: list[tuple[Any, set[str]]] = []
        self._clocks: dict[str, Any] = {}

    @property
    def functions(self) -> int:
        """Number of functions that are compared."""
        return len(self._functions)

    def at_trial(self, trial: Trial, clock: Any, held: Iterable[Path]) -> None:
        """Look at a trial's objects too, and hold back files of data."""
        self._listener.hold(held)
        self._folder = str(trial.workload.data.root.resolve())
        self._model = Model(trial.workload.model)
        self._parameters = list(trial.workload.model.parameters())
        parts = [trial, trial.workload, trial.judge, trial.workload.data, trial.view]
        parts += [trial.records, trial.checkpoints, clock, clock.ledger]
        self._things = [(part, shadowed(part)) for part in parts]
        self._ledger = clock.ledger
        self._clocks = {n: value for n, value in vars(clock.ledger).items() if callable(value)}

    def start_call(self) -> None:
        """The generators as a call of the submission finds them."""
        self._generators = Generators()

    def compare(self, when: str, thorough: bool = False, generators: bool = True) -> None:
        """Everything against what it was.

        Args:
            when: in words.
            thorough: functions by their content too.
            generators: False where the harness seeded them itself since the last look.
        """
        self.compare_functions(when, thorough)
        self._compare_flags(read_flags(), when)
        self._compare_environment(when)
        self._compare_model(when)
        for name in self._generators.reset() if generators else ():
            text = f"the global generator of {name} was reset"
            fix = "draw from workload.generator(...) or a generator of its own"
            self._notes.say("randomness", FAIL, text, when, fix)
        self._judge(self._listener.take(), when)

    def compare_functions(self, when: str, thorough: bool = False) -> None:
        """The fixed functions, those of the ledger, and methods that an object hides."""
        found = self._functions.replaced(thorough)
        ledger = vars(self._ledger) if self._clocks else {}
        found += [f"ledger.{n}" for n, v in self._clocks.items() if ledger.get(n) is not v]
        for thing, before in self._things:
            found += [f"{type(thing).__name__}.{n}" for n in sorted(shadowed(thing) - before)]
        clocks = [name for name in found if name.startswith((*CLOCK, "ledger."))]
        others = [name for name in found if name not in clocks]
        for check, names in (("clock", clocks), ("functions", others)):
            if names:
                text = f"{few(names)}: no longer the function that it was"
                self._notes.say(check, FAIL, text, when, _LEAVE)

    def in_pass(self) -> None:
        """When the model is called for training."""
        when = "when the model is called"
        self.compare_functions(when)
        self._compare_flags(read_flags(at_rest=False), when)
        frozen = self._model.frozen() if self._model is not None else []
        if frozen:
            text = f"frozen: {few(frozen)}"
            fix = "do not freeze parameters; leave those out of the update that shall stay"
            self._notes.say("parameters", FAIL, text, when, fix)

    def _compare_flags(self, flags: dict[str, Any], when: str) -> None:
        for text in differences({name: self._flags[name] for name in flags}, flags):
            self._notes.say("environment", FAIL, text, when, "leave global flags alone")

    def _compare_environment(self, when: str) -> None:
        here, before = read_environment(), self._environment
        names = {n for n in here.keys() | before.keys() if here.get(n) != before.get(n)}
        self._environment = here
        for name in sorted(names - self._listener.by_libraries):
            self._notes.say("environment", FAIL, f"the variable {name} was changed", when, _LEAVE)

    def _compare_model(self, when: str) -> None:
        if self._model is None:
            return
        for fault in self._model.faults():
            fix = "update parameters in place; do not replace, add, resize or freeze them"
            self._notes.say("parameters", FAIL, fault, when, fix)
        hooked = self._model.hooked()
        if hooked:
            text = f"hooks on {few(hooked)}: they may look, not alter"
            self._notes.say("parameters", WARN, text, when, "read what they do")

    def _judge(self, seen: Seen, when: str) -> None:
        say = self._notes.say
        self._own_files |= {path for path, _ in seen.written}
        for path, line in seen.held:
            text = f"opened {os.path.basename(path)}, a file of the test split"
            say("data", FAIL, text, when, "test data are not for training algorithms", line)
        for path, line in seen.read:
            if path.startswith(self._folder):
                text = f"opened {os.path.basename(path)} of the prepared data itself"
                say("data", FAIL, text, when, "take batches from select or step", line)
            elif path not in self._own_files:
                self._judge_file(path, line, when)
        for event, line in seen.started:
            fix = "it must rest while the clock stands; better do without"
            say("pause", WARN, f"started a process ({event})", when, fix, line)
        for event, line in seen.network:
            say("lookups", FAIL, f"spoke to the network ({event})", when, "leave it out", line)

    def _judge_file(self, path: str, line: str, when: str) -> None:
        if holds_model(Path(path), self._parameters):
            text = f"read {path}, which holds tensors of this model's shapes"
            fix = "start from the parameters that are given"
            self._notes.say("lookups", FAIL, text, when, fix, line)
        else:
            fix = "numbers for all workloads alike belong into the source, where they can be read"
            self._notes.say("lookups", WARN, f"read {path}", when, fix, line)
