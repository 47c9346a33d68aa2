"""The class that runs submissions, made to die or to tell what it has imported."""

import os
import sys
from pathlib import Path

from algoperf_pt.reference.submission import ReferenceSubmission


class Dies(ReferenceSubmission):
    """Ends its process's trial by an error at a step that the environment gives."""

    def step(self, workload, batch):
        if os.environ.get("TEST_DIES_AT") == str(workload.step):
            raise RuntimeError("as if the machine were gone")
        return super().step(workload, batch)


class Listed(ReferenceSubmission):
    """Writes the top-level names of all loaded modules."""

    def prepare_for_eval(self, workload):
        super().prepare_for_eval(workload)
        names = sorted({name.partition(".")[0] for name in sys.modules})
        Path(os.environ["TEST_MODULES"]).write_text(" ".join(names))
