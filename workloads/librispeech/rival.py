"""What would the usual loader cost?  Two files of NumPy an utterance, 20 seconds for all, as floats
with floats for the padding, DataLoader: measured beside ours, never trained with.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.data.reader import ShardReader
from algoperf_pt.workload_data import Batch
from workloads.librispeech.lengths import LONGEST

_IDS = 256  # targets' width


def write_files(reader: ShardReader, root: Path) -> None:
    """`<number>_audio.npy` and `<number>_targets.npy` of every utterance of a split of int16
    samples.
    """
    root.mkdir(parents=True)
    for number in range(len(reader)):
        (member,) = reader.read(np.array([number]))
        np.save(root / f"{number}_audio.npy", np.frombuffer(member["pcm"], np.int16))
        ids = np.frombuffer(member["token"], np.uint16).astype(np.int32)
        np.save(root / f"{number}_targets.npy", ids)


def batches(root: Path, rows: int) -> Iterator[Batch]:
    """Endless training batches, made in this process."""
    generator = torch.Generator().manual_seed(0)
    loader = torch.utils.data.DataLoader(
        _Files(root), rows, shuffle=True, drop_last=True, generator=generator
    )
    while True:
        for inputs, input_paddings, targets, target_paddings in loader:
            yield {
                "inputs": inputs,
                "input_paddings": input_paddings,
                "targets": targets,
                "target_paddings": target_paddings,
                "weights": torch.ones(rows),
            }


class _Files(torch.utils.data.Dataset[tuple[Tensor, ...]]):
    def __init__(self, root: Path) -> None:
        self.root, self.count = root, len(list(root.glob("*_audio.npy")))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[Tensor, ...]:
        audio = _padded(np.load(self.root / f"{number}_audio.npy"), LONGEST)
        return (*audio, *_padded(np.load(self.root / f"{number}_targets.npy"), _IDS))


def _padded(values: np.ndarray, width: int) -> tuple[Tensor, Tensor]:
    """Values and their padding (1 behind the end), both float32 [width]."""
    behind = (0, width - len(values))
    padded = np.pad(values, behind).astype(np.float32)
    paddings = np.pad(np.zeros(len(values), np.float32), behind, constant_values=1.0)
    return torch.from_numpy(padded), torch.from_numpy(paddings)
