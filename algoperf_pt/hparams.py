"""Which hyperparameters does a submission have, and did anything read them?"""

from collections.abc import Iterator, Mapping
from typing import Any

from algoperf_pt.errors import SubmissionError


class Hparams(Mapping[str, Any]):
    """A point of the search space: read-only, by attribute or by key; remembers what was read."""

    def __init__(self, values: Mapping[str, Any], read: set[str] | None = None) -> None:
        self._values = dict(values)
        self._read = set(read or ())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise SubmissionError(
                f"the submission reads the hyperparameter {name!r}, which its point does not have",
                expected=f"one of {', '.join(self._values) or 'none (self-tuning)'}",
                where="submission.hparams",
            )
        self._read.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def unread(self) -> list[str]:
        """Hyperparameters that nothing has read: tuning them would change nothing."""
        return [name for name in self._values if name not in self._read]
