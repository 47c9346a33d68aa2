"""Opens the shards of the test split itself."""

import os
from pathlib import Path

from plain import Plain


class OpensTestFiles(Plain):
    def setup(self, workload, hparams):
        super().setup(workload, hparams)
        self.labels = []
        for path in Path(os.environ["TEST_DATA_OF_A_CHEAT"]).rglob("test-*.tar"):
            with open(path, "rb") as file:
                self.labels.append(file.read(1024))
