"""The files of a run folder, without a training."""

import lightning as L
import pytest
import torch
from small import Malicious

from facehall.errors import FacehallError, StoppedBySignal
from facehall.imaging import read_rgb
from facehall.metrics import Protocol, psnr
from facehall.metrics.judges import JUDGES
from facehall.training.callbacks import History, history
from facehall.training.callbacks.history import read_history, write_history
from facehall.training.callbacks.samples import draw_panel
from facehall.training.checkpointing.files import intact_checkpoint
from facehall.training.curves import draw_curves

MEASURES = [JUDGES[name].measure for name in ("psnr", "ssim", "psnr_y", "lpips")]


def rows(lpips=True):
    table = []
    for epoch in range(1, 7):
        row = {"epoch": epoch, "step": 10 * epoch, "phase": "psnr" if epoch < 4 else "gan"}
        for name, value in (("psnr", 25 + epoch / 10), ("ssim", 0.7), ("lpips", 0.4 - epoch / 50)):
            if name != "lpips" or lpips:
                row |= {f"val/{name}": value, f"val/bicubic_{name}": 0.99 * value}
        table.append(row)
    return table


def test_history_round_trip_with_columns_added_later(tmp_path):
    table = [{"epoch": 1, "phase": "psnr", "a": 0.5}, {"epoch": 2, "phase": "gan", "a": 1e-7, "b": 2.0}]
    write_history(tmp_path / "metrics.csv", table)
    assert read_history(tmp_path / "metrics.csv") == table
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


@pytest.mark.parametrize("lpips", [True, False])
def test_curves_have_a_panel_per_measure(tmp_path, lpips):
    draw_curves(rows(lpips), tmp_path / "curves.png", MEASURES)
    height, width, _ = read_rgb(tmp_path / "curves.png").shape
    assert width / height == pytest.approx((3 if lpips else 2) * 4.6 / 3.6, rel=0.01)


def test_no_curves_without_validation(tmp_path):
    draw_curves([{"epoch": 1, "step": 1, "phase": "psnr"}], tmp_path / "curves.png", MEASURES)
    assert not (tmp_path / "curves.png").exists()


def test_panels_show_lr_bicubic_sr_hr_with_their_decibels():
    hr = torch.rand(3, 12, 12)
    pictures, captions = draw_panel("face", torch.rand(3, 6, 6), hr, hr + 0.1, Protocol(2, border=0))
    assert [picture.shape for picture in pictures] == [(6, 6, 3), *[(12, 12, 3)] * 3]
    assert captions[0] == "face"
    assert captions[2].endswith("dB")
    assert float(captions[2].removesuffix(" dB")) == pytest.approx(
        psnr((hr + 0.1).clamp(0, 1)[None], hr[None]), abs=0.1
    )


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_unreadable_checkpoints_are_named(tmp_path, content):
    path = tmp_path / "last.ckpt"
    path.write_bytes(content)
    with pytest.raises(FacehallError, match="not a readable training checkpoint") as error:
        intact_checkpoint(path, fall_back=True)
    assert str(path) in str(error.value)


def test_checkpoints_execute_nothing(tmp_path):
    torch.save({"state_dict": Malicious(tmp_path / "executed")}, tmp_path / "last.ckpt")
    with pytest.raises(FacehallError, match="not a readable"):
        intact_checkpoint(tmp_path / "last.ckpt", fall_back=True)
    assert not (tmp_path / "executed").exists()


class Stop(L.Callback):
    """Stop a training at the end of its second epoch."""

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise StoppedBySignal("enough", None)


@pytest.mark.parametrize(("interval", "drawings"), [(0, [1, 2, 3]), (1000, [3]), (None, [])])
def test_curves_are_drawn_at_intervals_and_at_the_end(tmp_path, make_module, fit, monkeypatch, interval, drawings):
    drawn = []
    monkeypatch.setattr(history, "draw_curves", lambda rows, *_: drawn.append(len(rows)))
    fit(make_module(), 1, max_epochs=3, callbacks=[History(tmp_path, interval)])
    assert drawn == drawings


def test_curves_of_a_stopped_training_are_complete(tmp_path, make_module, fit, monkeypatch):
    drawn = []
    monkeypatch.setattr(history, "draw_curves", lambda rows, *_: drawn.append(len(rows)))
    with pytest.raises(StoppedBySignal):
        fit(make_module(), 1, max_epochs=3, callbacks=[History(tmp_path, 1000), Stop()])
    assert drawn == [2]
