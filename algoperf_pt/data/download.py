"""Fetch a raw file: resumed where it broke off, checked, and under its name only when it
is whole."""

import time
from pathlib import Path

import requests
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from algoperf_pt.data.index import sha256
from algoperf_pt.data.preparer import RawFile
from algoperf_pt.errors import DataError

_CHUNK = 1 << 16  # bytes; what is lost of a chunk when a connection breaks is fetched again
_TIMEOUT = 30.0  # s without an answer
_TRIES = 5
_PATIENCE = 1.0  # s before the second try; doubled each time


def download(
    file: RawFile,
    folder: Path,
    tries: int = _TRIES,
    patience: float = _PATIENCE,
    quiet: bool = False,
) -> Path:
    """Fetch `file` into `folder`, unless it is there with its checksum.

    Raises:
        DataError: no plain address, refused, unreachable, or another checksum or size than
            expected.
    """
    path = folder / file.name
    if file.url is None:
        raise DataError(
            f"{file.name} has no plain address: its licence asks for a registration or a visit",
            fix=f"fetch it by hand and put it into {folder}",
        )
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists() and _problem(file, path) is None:
        return path
    partial = path.with_name(path.name + ".part")
    for attempt in range(tries):
        try:
            _fetch(file, partial, quiet)
            break
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
        ) as error:
            if attempt == tries - 1:
                raise DataError(
                    f"{file.url} could not be fetched in {tries} tries: {type(error).__name__}",
                    fix=f"try again later (it goes on after {_size(partial)} bytes), or fetch it "
                    f"by hand into {folder}",
                ) from error
            time.sleep(patience * 2**attempt)
    problem = _problem(file, partial)
    if problem:
        partial.unlink()
        raise DataError(
            f"{file.url}: {problem}",
            fix="the file on the server is another one, or was changed on the way",
        )
    partial.replace(path)
    return path


def _fetch(file: RawFile, partial: Path, quiet: bool) -> None:
    assert file.url is not None
    start = _size(partial)
    headers = {"Range": f"bytes={start}-"} if start else {}
    with requests.get(file.url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # all of it is here already; the checksum decides
        if not answer.ok:
            raise DataError(
                f"{file.url}: the server answers {answer.status_code} {answer.reason}",
                fix="check the address",
            )
        resumed = answer.status_code == requests.codes.partial_content
        total = int(answer.headers.get("Content-Length", 0)) + (start if resumed else 0)
        columns = (TextColumn(file.name), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with partial.open("ab" if resumed else "wb") as out, Progress(
            *columns, disable=quiet
        ) as bar:
            task = bar.add_task(file.name, total=total or None, completed=start if resumed else 0)
            for chunk in answer.iter_content(_CHUNK):
                out.write(chunk)
                bar.advance(task, len(chunk))
    if total and partial.stat().st_size < total:
        raise requests.ConnectionError("the connection ended early")


def _problem(file: RawFile, path: Path) -> str | None:
    if file.bytes is not None and path.stat().st_size != file.bytes:
        return f"{path.stat().st_size} bytes, expected {file.bytes}"
    if file.sha256 is not None and (found := sha256(path)) != file.sha256:
        return f"SHA-256 {found}, expected {file.sha256}"
    return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
