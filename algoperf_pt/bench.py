"""What is measured when a workload's speed is?  Batches, units, data and the reference's figures.

A workload's own part is a subclass of `Bench`, named BENCH in workloads/<name>/bench.py.  The
measurements themselves are in scripts/bench_workload.py; how to read them: docs/benchmarks.md.
"""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from algoperf_pt.data.index import DataIndex
from algoperf_pt.data.prepare import prepare
from algoperf_pt.data.preparer import Preparer
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import ConfigError
from algoperf_pt.spec import SPLITS
from algoperf_pt.workload_data import Batch

Shape = dict[str, Any]  # name -> sizes, as [8192, 39]


@dataclass(frozen=True)
class Reference:
    """A figure of the reference implementation, taken on one CPU thread, as data.

    A ratio is a time over that of a float32 matrix product 2048x2048 in the same process.

    Args:
        what: the measurement it belongs to: "step", "eval", "loader_train" or "loader_eval".
        shape: it belongs to batches whose `Bench.shape` has these entries with these values.
        ratio: wall time of a repetition over that of the product; None: not known.
        ratio_cpu: the same of CPU times.
        units: number of units in its repetition; None: as many as in a repetition of ours.
        units_per_cpu_s: throughput on the reference's machine, units a CPU-second.
        source: where the figure stands, or how it was taken.
    """

    what: str
    shape: Shape
    ratio: float | None = None
    ratio_cpu: float | None = None
    units: int | None = None
    units_per_cpu_s: float | None = None
    source: str = ""

    def fits(self, what: str, shape: Shape) -> bool:
        """Whether the figure is of this measurement at exactly this shape."""
        return what == self.what and all(shape.get(k) == v for k, v in self.shape.items())

    def scaled(self, ratio: float | None, units: float) -> float | None:
        """A ratio of the reference for a repetition of `units` units."""
        return ratio if ratio is None or self.units is None else ratio * units / self.units


def compared(
    references: Sequence[Reference], what: str, shape: Shape, units: float, figures: dict[str, Any]
) -> dict[str, Any]:
    """The reference's figure of a measurement and ours over it (below 1: faster); nothing where it
    has none.

    Args:
        references: the workload's.
        what, shape, units: of our measurement.
        figures: with its `ratio` and `ratio_cpu`.
    """
    found = next((reference for reference in references if reference.fits(what, shape)), None)
    if found is None:
        return {}
    names = ("ratio", "ratio_cpu")
    known = {name: found.scaled(getattr(found, name), units) for name in names}
    kept = {name: value for name, value in known.items() if value is not None}
    line: dict[str, Any] = {f"reference_{name}": value for name, value in kept.items()}
    if found.units_per_cpu_s is not None:
        line["reference_units_per_cpu_s"] = found.units_per_cpu_s
    against = {name: figures[name] / value for name, value in kept.items()}
    if against:
        line["against_reference"] = next(iter(against.values()))  # wall time, else CPU time
    if "ratio_cpu" in against:
        line["against_reference_cpu"] = against["ratio_cpu"]
    return {**line, "reference_source": found.source}


def find_bench(config: Mapping[str, Any]) -> "Bench":
    """The workload's own part: BENCH of the module `bench` beside its own module.

    Args:
        config: the composed configuration.

    Raises:
        ConfigError: it has none.
    """
    target: str = config["workload"]["_target_"]
    module = f"{target.rpartition('.')[0].rpartition('.')[0]}.bench"
    try:
        kind = importlib.import_module(module).BENCH
    except ModuleNotFoundError as error:
        if error.name != module:
            raise  # it is there, and imports something that is not
        raise ConfigError(
            f"workload {config['workload']['name']!r} has no module {module}",
            expected="BENCH, a subclass of algoperf_pt.bench.Bench, in it",
            where="workload._target_",
        ) from error
    bench: Bench = kind(config)
    return bench


class Bench(ABC):
    """Subclass this in workloads/<name>/bench.py; `train_batch` alone must be defined.

    It is made before, and without, the model: measuring the loader needs none.

    Args:
        config: the composed configuration (plain containers).
    """

    unit = "examples"  # what `units` counts: tokens, rows, images, ...
    references: tuple[Reference, ...] = ()

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self.workload: dict[str, Any] = config["workload"]  # conf/workload/<name>.yaml
        self.model: dict[str, Any] = self.workload["model"]
        self.options: dict[str, Any] = self.workload["data"]["options"]

    # ---- batches

    @abstractmethod
    def train_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        """A made-up training batch on the CPU, with the keys, shapes and dtypes that the workload's
        data have, `weights` included, and values in their range.

        Args:
            batch_size: rows; where they are packed, packed rows.
            generator: the only source of randomness (CPU).
        """

    def eval_batch(self, batch_size: int, generator: torch.Generator) -> Batch:
        """A made-up evaluation batch; by default one for training."""
        return self.train_batch(batch_size, generator)

    def examples(self, batch: Batch) -> int:
        """Rows of a batch that are no padding."""
        weights = batch["weights"]
        return int((weights.reshape(len(weights), -1) > 0).any(1).sum())

    def units(self, batch: Batch) -> int:
        """Units in a batch, padding left out; by default its examples."""
        return self.examples(batch)

    def shape(self, batch: Batch) -> Shape:
        """Sizes that a figure belongs to: of the batch's tensors, and of what else decides about
        the speed (a table's, say), under names of your own.
        """
        tensors = {name: v for name, v in batch.items() if isinstance(v, torch.Tensor)}
        return {name: list(tensor.shape) for name, tensor in tensors.items()}

    def stand_in(self) -> Any:
        """What a workload gets for its data where only steps are measured: None, unless its loss or
        evaluation step asks the data for something (a tokenizer, say).
        """
        return None

    # ---- data for the loader

    def loader_data(self, folder: Path) -> None:
        """Write a made-up prepared dataset of a realistic shape to `folder`, the dataset's own
        (index.json, shards): `write_prepared` or algoperf_pt.data.prepare.prepare does it.

        It may hold any number of examples: `data_overrides` tells the configuration.
        """
        raise ConfigError(
            f"{type(self).__module__} makes no data for the loader",
            expected="a folder of prepared data",
            where="--data",
            fix=f"algoperf-prepare {self.workload['name']}, then --data DIR",
        )

    def data_overrides(self, folder: Path) -> list[str]:
        """Overrides of the configuration that belong to what `loader_data` wrote; by default its
        numbers of examples.
        """
        index = DataIndex.open(folder)
        counts = {split: index.rows(split) for split in SPLITS}
        evaluated = self.workload["num_examples"]["eval_train"]
        counts["eval_train"] = min(counts["train"], evaluated)
        return [f"workload.num_examples.{split}={count}" for split, count in counts.items()]

    def rival(self, folder: Path, rows: int) -> Iterator[Batch] | None:
        """Endless training batches of the same examples by the usual means, to be measured beside
        ours; None: there is none.

        Args:
            folder: what `loader_data` wrote; what is written beside it is removed with it.
            rows: of a batch.
        """
        return None

    def loader_parts(self, data: Any, rows: int) -> dict[str, float]:
        """CPU ms an example of each stage in which a training batch of `rows` is made, by name."""
        return {}

    def write_prepared(
        self,
        folder: Path,
        splits: Mapping[str, Iterable[Sample]],
        samples_per_shard: int = 10_000,
        assets: Mapping[str, bytes] = MappingProxyType({}),
    ) -> DataIndex:
        """Write samples as this workload's prepared dataset, without raw files.

        Args:
            folder: the dataset's own.
            splits: name -> samples, gone through once.
            samples_per_shard: as a preparer has it.
            assets: name -> content of files beside the shards.
        """
        data = self.workload["data"]
        made = _MadeUp(data["dataset"], data["preparer_version"], splits, assets)
        made.samples_per_shard = samples_per_shard
        folder.mkdir(parents=True, exist_ok=True)
        return prepare(made, folder, folder, quiet=True)


class _MadeUp(Preparer):
    """Samples that come from no raw files."""

    def __init__(
        self,
        name: str,
        version: int,
        made: Mapping[str, Iterable[Sample]],
        files: Mapping[str, bytes],
    ) -> None:
        self.name, self.version, self.splits = name, version, tuple(made)
        self.assets = tuple(files)
        self._made, self._files = made, files

    def begin(self, raw: Path, out: Path, scratch: Path) -> None:
        for name, content in self._files.items():
            (out / name).write_bytes(content)

    def estimate_bytes(self, raw: Path) -> int:
        return 0  # not known before; a full disk is an error of its own

    def samples(self, split: str, raw: Path) -> Iterator[Sample]:
        return iter(self._made[split])
