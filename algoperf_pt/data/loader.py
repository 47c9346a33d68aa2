"""From a function step -> batch to a stream of batches, built ahead by worker processes or in
place.
"""

import signal
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkContext, ForkProcess
from multiprocessing.popen_fork import Popen
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from algoperf_pt.errors import AlgoperfError, DataError

Batch = dict[str, Tensor]


def batches(
    build: Callable[[int], Batch],
    start: int,
    stop: int | None,
    workers: int,
    prefetch: int,
    pin_memory: bool,
) -> Iterator[Batch]:
    """Batches number `start`, `start` + 1, ... (endless if `stop` is None), the same for any number
    of workers.

    Args:
        build: number -> batch; picklable if there are workers.
        workers: processes; 0 builds in this one.
        prefetch: batches ahead per worker.
        pin_memory: page-locked host memory, for copies to a GPU beside its work.

    Raises:
        DataError: as `build` raised it, also from a worker; or when a worker was killed.
    """
    if workers == 0:
        return _in_place(build, start, stop, pin_memory)
    return _by_workers(build, start, stop, workers, prefetch, pin_memory)


def _in_place(
    build: Callable[[int], Batch], start: int, stop: int | None, pin_memory: bool
) -> Iterator[Batch]:
    for number in _Counter(start, stop):
        batch = build(number)
        yield {k: v.pin_memory() for k, v in batch.items()} if pin_memory else batch


def _by_workers(
    build: Callable[[int], Batch],
    start: int,
    stop: int | None,
    workers: int,
    prefetch: int,
    pin_memory: bool,
) -> Iterator[Batch]:
    loader = DataLoader(
        _Steps(build),
        sampler=_Counter(start, stop),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=prefetch,
        pin_memory=pin_memory,
        worker_init_fn=_start_worker,
        multiprocessing_context=_Context(),
    )
    try:
        for item in loader:
            if isinstance(item, AlgoperfError):
                raise item
            yield item
    except (RuntimeError, OSError, EOFError) as error:
        if not _from_a_dead_worker(error):
            raise
        raise DataError(
            f"a loader worker died: {(str(error) or type(error).__name__).splitlines()[0]}",
            expected=f"{workers} living workers",
            where="data.workers",
            fix="look for out-of-memory kills (dmesg), lower data.workers or data.prefetch",
        ) from error


def _from_a_dead_worker(error: BaseException) -> bool:
    """torch says so itself; or fetching what the worker left behind failed (a connection or a file
    of its is gone).  What a living worker raised is marked by torch as caught there.
    """
    text = str(error)
    if text.startswith("Caught "):
        return False
    return not isinstance(error, RuntimeError) or "DataLoader worker" in text


class _Steps(Dataset[Any]):
    """`build` in the form that DataLoader takes; errors travel as values, so they arrive as they
    were raised.
    """

    def __init__(self, build: Callable[[int], Batch]) -> None:
        self.build = build

    def __getitem__(self, number: int) -> Any:
        try:
            return self.build(number)
        except AlgoperfError as error:
            return error


class _Counter(Sampler[int]):
    """start, start + 1, ..."""

    def __init__(self, start: int, stop: int | None) -> None:
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        number = self.start
        while self.stop is None or number < self.stop:
            yield number
            number += 1


class _Popen(Popen):
    """A worker that is to be terminated and does not end by itself waits for something that will
    not come, such as a lock of one that was killed.  It heeds no SIGTERM (`_start_worker`).
    """

    def terminate(self) -> None:
        self.kill()


class _Worker(ForkProcess):
    @staticmethod
    def _Popen(process: BaseProcess) -> Popen:
        return _Popen(process)


class _Context(ForkContext):
    Process = _Worker


def _start_worker(_: int) -> None:
    """Ctrl-C and a cluster's SIGTERM reach every process: the trial ends its workers itself, after
    the step for which it needs them.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)  # several workers with all cores each would only wait for one another
