"""The campaign as a command: it keeps finished lines, fills the page, says if all was well."""

import pytest

from scripts import fault_campaign
from tests.faults.table import Fault, Seen

PAGE = f"before\n{fault_campaign._BEGIN}\nstale\n{fault_campaign._END}\nafter\n"


@pytest.mark.parametrize("lost, code", [("", 0), ("a row", 1)])
def test_the_command(tmp_path, monkeypatch, capsys, lost, code):
    done = []

    def harm(place, rng):
        done.append(rng)
        return Seen("good (0)", "told", lost)

    faults = [Fault("one harm", "kept", harm, 10, 1, ("good",)), Fault("x", "", harm, 1, 1, ())]
    monkeypatch.setattr(fault_campaign, "FAULTS", faults)
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    words = ["--only", "one", "--share", "0.2", "--out", str(tmp_path / "out")]
    for _ in range(2):  # the second only shows
        assert fault_campaign.main([*words, "--markdown", str(page)]) == code
    assert len(done) == 2
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "stale" not in text
    assert "| one harm | 2 | 2 good (0) | told |" in text
    assert f"2 cases, {2 * code} of them not as they must be" in text and "--share 0.2" in text


def test_a_page_without_a_place_for_the_table(tmp_path):
    (tmp_path / "page.md").write_text("nothing")
    with pytest.raises(SystemExit, match="lacks the lines"):
        fault_campaign.put(tmp_path / "page.md", "table")
