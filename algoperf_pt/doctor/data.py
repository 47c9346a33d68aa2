"""Are the prepared data whole?  Every dataset's folder against its index.json."""

from pathlib import Path
from typing import Any

from algoperf_pt.data.index import JSON_NAME, DataIndex
from algoperf_pt.doctor.finding import Examined, examined

_PREPARE = "algoperf-prepare NAME --out"


def look_at_data(
    found: Examined, root: Path, config: dict[str, Any] | None = None, hashes: bool = False
) -> list[DataIndex]:
    """Sizes of all files; with `hashes` their SHA-256, too.

    Args:
        found: where facts and problems go.
        root: data.dir, the folder of the datasets' folders.
        config: of a workload whose data must be there; None: those that are there.
        hashes: read every file.

    Returns:
        the sound ones.
    """
    found.facts.append(str(root))
    folders = [root / config["workload"]["data"]["dataset"]] if config else _folders(root)
    if not folders:
        found.facts.append(f"no prepared dataset there ({_PREPARE} {root / 'NAME'} makes one)")
    sound = [_look_at_one(found, folder, config, hashes) for folder in folders]
    return [index for index in sound if index is not None]


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(p for p in root.iterdir() if (p / JSON_NAME).exists() or any(p.glob("*.tar")))


def _look_at_one(
    found: Examined, folder: Path, config: dict[str, Any] | None, hashes: bool
) -> DataIndex | None:
    made: list[DataIndex] = []

    def look(one: Examined) -> None:
        data = config["workload"]["data"] if config else {}
        index = DataIndex.open(folder, data.get("dataset"), data.get("preparer_version"))
        rows = ", ".join(f"{split} {index.rows(split):,}" for split in index.splits)
        checked = "SHA-256 right" if hashes else "sizes right"
        for text in index.verify() if hashes else ():
            again = f"algoperf-prepare {index.dataset} --raw RAW_FILES --out {folder} --force"
            one.wrong(f"{folder}: {text}", again)
        index.members(index.splits[0])  # the file that says where examples lie can be read
        if config:
            _counts(one, index, config["workload"])
        if not one.problems:
            one.facts.append(f"{folder.name}: {rows} ({checked})")
            made.append(index)

    one = examined(found.part, look)
    found.facts += one.facts
    found.problems += one.problems
    return made[0] if made else None


def _counts(found: Examined, index: DataIndex, workload: dict[str, Any]) -> None:
    """A workload's numbers of examples against those of the data."""
    for split in ("train", "validation", "test"):
        wanted, there = workload["num_examples"][split], index.rows(split)
        if wanted is not None and there < wanted:
            text = f"{index.root}: {there:,} examples in {split}; {workload['name']} has {wanted:,}"
            again = f"algoperf-prepare {workload['name']} --raw RAW_FILES --out {index.root}"
            found.wrong(text, f"{again} --force")
