"""The check command: report and exit status."""

import pytest
from small import run_command

from facehall.check import main


def test_a_good_folder_is_counted(photographs, capsys):
    status = run_command(main, "data=folder", f"data.root={photographs}", "patches.patch_size=8")
    assert status == 0
    assert capsys.readouterr().out.strip() == "6 of 6 pictures can be used: 4 train, 1 val, 1 test."


@pytest.mark.parametrize("policy", ["strict", "skip"])
def test_a_broken_picture_is_named(photographs, capsys, policy):
    for path in photographs.iterdir():
        (photographs / "train" / path.name).parent.mkdir(exist_ok=True)
        path.rename(photographs / "train" / path.name)
    (photographs / "train" / "broken.png").write_bytes(b"")
    arguments = ["data=folder", f"data.root={photographs}", "patches.patch_size=8", f"patches.checks={policy}"]
    status = run_command(main, *arguments)
    captured = capsys.readouterr()
    assert status == (2 if policy == "strict" else 0)
    assert "1 of 7 pictures cannot be used:" in captured.out + captured.err
    assert "broken.png is empty" in captured.out + captured.err
