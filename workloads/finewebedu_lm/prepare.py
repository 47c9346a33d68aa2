"""FineWeb-Edu from its parquet files: text to GPT-2's ids to windows, in bounded memory.

https://huggingface.co/datasets/HuggingFaceFW/fineweb-edu, configuration sample-10BT, the column
`text`.  Stored: blocks of 1,024 windows with the part `ids` (1,025 uint16 a window: a sequence and
the id after it).  Documents are put into a fixed random order; the first ones fill the training
windows, the next ones the validation windows.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from algoperf_pt.data.index import sha256
from algoperf_pt.data.order import feistel
from algoperf_pt.data.preparer import Preparer
from algoperf_pt.data.shards import Sample
from algoperf_pt.errors import DataError
from algoperf_pt.optional import need
from workloads.finewebedu_lm.corpus import Ids, Stream, collect
from workloads.finewebedu_lm.tokens import load_tokenizer, tokenizer_files

COLUMN = "text"
_BLOCK = 1024  # windows a member
_DOCUMENTS = 1024  # read at a time
_TAR = 1024  # bytes of header and padding a member


class FinewebEduPreparer(Preparer):
    """Train: the first documents in random order, until its windows are full; validation: from the
    next document on.

    Args:
        name: of the dataset.
        windows: of each split, in order; there must be as many.
        window: ids of each: the context and one more.
        vocabulary: ids that the tokenizer must have, the end-of-text id last.
        tokenizer: folder of its files; None: they lie among the raw files.
        seed: of the documents' order.
        threads: that tokenise; None: as many as there are cores.
    """

    splits = ("train", "validation")
    samples_per_shard = 100  # 210 MB at the real window

    def __init__(
        self,
        name: str,
        windows: dict[str, int],
        window: int,
        vocabulary: int,
        tokenizer: str | None = None,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        self.name, self.windows, self.window = name, dict(windows), window
        self.vocabulary, self.tokenizer, self.seed = vocabulary, tokenizer, seed
        self.threads = threads or os.cpu_count() or 1

    def check_raw(self, raw: Path) -> list[Path]:
        """The parquet files in the order of their names, each looked into, and the tokenizer's."""
        super().check_raw(raw)
        texts = sorted(raw.glob("*.parquet"))
        if not texts:
            raise DataError(
                f"{raw} holds no parquet files",
                expected="000_00000.parquet and so on: all files of the folder sample/10BT",
                fix="put them there as downloaded",
            )
        for path in texts:
            open_parquet(path)
        return texts + self._tokenizer_files(raw)

    def expected_rows(self, split: str) -> int:
        return self.windows[split]

    def members(self, split: str) -> int:
        return -(-self.windows[split] // _BLOCK)

    def estimate_bytes(self, raw: Path) -> int:
        """Shards, and the intermediate ids, which take less than the compressed text."""
        shards = sum(self.windows.values()) * self.window * 2
        members = sum(self.members(split) for split in self.splits)
        return shards + members * _TAR + sum(p.stat().st_size for p in raw.glob("*.parquet"))

    def begin(self, raw: Path, out: Path, scratch: Path) -> None:
        """Tokenise every document, put them in order, and see that there are enough."""
        texts, files = sorted(raw.glob("*.parquet")), self._tokenizer_files(raw)
        encode = load_tokenizer(files, self.vocabulary).document

        with ThreadPoolExecutor(self.threads) as pool:

            def documents(path: Path) -> Iterator[list[Ids]]:
                return (list(pool.map(encode, batch)) for batch in read_texts(path))

            known = hashlib.sha256("".join(sha256(path) for path in files).encode()).hexdigest()
            ids, lengths = collect(scratch, texts, known, documents, _say)
        order = feistel(np.arange(len(lengths)), len(lengths), self.seed)
        self._stream = Stream(ids, lengths, order, self.window)
        self._origins = self._stream.origins({split: self.windows[split] for split in self.splits})

    def units(self, split: str, raw: Path) -> Sequence[str]:
        """One for each shard."""
        shards = -(-self.members(split) // self.samples_per_shard)
        return tuple(f"{number:04d}" for number in range(shards))

    def unit_samples(self, split: str, raw: Path, unit: str) -> Iterator[Sample]:
        first = int(unit) * self.samples_per_shard
        last = min(first + self.samples_per_shard, self.members(split))
        return (self._member(split, number) for number in range(first, last))

    def _member(self, split: str, number: int) -> Sample:
        first = number * _BLOCK
        last = min(first + _BLOCK, self.windows[split])
        windows = self._stream.windows(self._origins[split], first, last)
        return Sample(f"{number:06d}", {"ids": windows.tobytes()}, last - first)

    def _tokenizer_files(self, raw: Path) -> list[Path]:
        return tokenizer_files(Path(self.tokenizer).expanduser() if self.tokenizer else raw)


def _say(path: Path) -> None:
    print(f"tokenising {path.name}", flush=True)  # minutes to hours each


def open_parquet(path: Path) -> Any:
    """A parquet file with a column of text.

    Raises:
        DataError: it cannot be read, or has no such column.
    """
    pyarrow, parquet = need("pyarrow", "finewebedu_lm"), need("pyarrow.parquet", "finewebedu_lm")
    try:
        file = parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    schema = file.schema_arrow
    kinds = {field.name: field.type for field in schema}
    if kinds.get(COLUMN) not in (pyarrow.string(), pyarrow.large_string()):
        raise DataError(
            f"{path} has no column {COLUMN!r} of strings, but {', '.join(schema.names) or 'none'}",
            expected=f"the column {COLUMN!r}, as in the files of sample/10BT",
            fix="take the files of the data set as they are",
        )
    return file


def read_texts(path: Path) -> Iterator[list[str]]:
    """The texts of a parquet file in order, some at a time.

    Raises:
        DataError: the file is damaged; a text is null or no UTF-8.
    """
    pyarrow = need("pyarrow", "finewebedu_lm")
    batches = open_parquet(path).iter_batches(batch_size=_DOCUMENTS, columns=[COLUMN])
    row = 0
    while True:
        try:
            batch = next(batches, None)
        except (pyarrow.ArrowException, OSError) as error:
            raise _unreadable(path, error) from error
        if batch is None:
            return
        yield [_text(value, path, row + number) for number, value in enumerate(batch.column(0))]
        row += len(batch)


def _text(value: Any, path: Path, row: int) -> str:
    try:
        text: str | None = value.as_py()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, row {row}: the text is no UTF-8 ({error.reason} at byte {error.start})",
            fix="the file is damaged: fetch it again",
        ) from error
    if text is None:
        raise DataError(
            f"{path}, row {row}: the text is null",
            expected="a string, which may be empty",
            fix="the file is damaged or of another data set: fetch it again",
        )
    return text


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} ({path.stat().st_size} bytes) cannot be read: {str(error).splitlines()[0]}",
        expected="a whole parquet file",
        fix="it is truncated or corrupt: fetch it again",
    )
