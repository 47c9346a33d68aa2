"""Where do texts come from, if a dataset holds ids?  From the vocabulary beside its shards."""

from typing import Any

from algoperf_pt.workload_data import WorkloadData
from workloads.text.pieces import Pieces


class VocabularyData(WorkloadData):
    """Splits whose texts are ids.  Subclass it with the class and the file of the vocabulary.

    Args:
        common: as `WorkloadData` takes them.
    """

    vocabulary_class: type[Pieces] = Pieces
    vocabulary_file: str  # an asset of the dataset

    def __init__(self, **common: Any) -> None:
        super().__init__(**common)
        self._vocabulary: Pieces | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_vocabulary": None}  # loader workers do not need it

    @property
    def vocabulary(self) -> Pieces:
        """To make text of ids; read when it is first needed."""
        if self._vocabulary is None:
            self._vocabulary = self.vocabulary_class(self.index.asset(self.vocabulary_file))
        return self._vocabulary
