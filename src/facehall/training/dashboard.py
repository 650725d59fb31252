"""The layout of a W&B workspace or report of trainings: which keys share a panel, in which order.

The layout is plain data; `workspace` and `report` turn it into objects of wandb_workspaces, W&B's public API for them
(extra ``dashboard``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from facehall.errors import FacehallError
from facehall.metrics import Measure

STEP = "trainer/global_step"
"""The key of Lightning's step, the axis of all curves."""
SAMPLES = "val/samples"
"""The key of the validation pictures."""


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: its heading.
        keys: the logged keys that it draws; of pictures, the key of the pictures.
        pattern: instead of keys, a regular expression of keys.
        pictures: it shows pictures instead of curves.
    """

    title: str
    keys: tuple[str, ...] = ()
    pattern: str | None = None
    pictures: bool = False


def layout(measures: Sequence[Measure]) -> dict[str, list[Panel]]:
    """Return {section: panels}: quality beside bicubic, then losses, health and pictures.

    Args:
        measures: those of the protocol; those for curves come first.
    """
    ordered = sorted(measures, key=lambda measure: not measure.headline)
    first = measures[0].name
    return {
        "Quality": [
            *(Panel(each.title, (f"val/{each.name}", f"val/bicubic_{each.name}")) for each in ordered),
            Panel(f"{measures[0].label}, gain over bicubic", (f"val/{first}_gain",)),
        ],
        "Losses": [
            Panel("Loss terms, epoch means", pattern="train/.*_epoch"),
            Panel("Discriminator's logits", ("train/D(real)_epoch", "train/D(fake)_epoch", "train/D_gap_epoch")),
        ],
        "Health": [
            Panel("Colour drift and checkerboard, levels of 255", ("val/color_drift", "val/checkerboard")),
            Panel("Learning rates", pattern="learning_rate/.*"),
            Panel("Skipped steps", ("train/skipped_steps",)),
            Panel("Patch mining", ("mining/rejection_rate", "mining/threshold")),
        ],
        "Pictures": [Panel("LR, bicubic, SR and HR", (SAMPLES,), pictures=True)],
    }


def workspace(entity: str, project: str, measures: Sequence[Measure]) -> Any:
    """Return a wandb_workspaces Workspace, not yet saved.

    Raises:
        FacehallError: the extra ``dashboard`` is not installed.
    """
    workspaces, reports = _libraries()
    sections = [
        workspaces.Section(name=name, panels=[_panel(reports, each) for each in found], is_open=True)
        for name, found in layout(measures).items()
    ]
    settings = workspaces.WorkspaceSettings(x_axis=STEP)
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name="facehall",
        sections=sections,
        settings=settings,
        auto_generate_panels=False,
    )


def report(entity: str, project: str, measures: Sequence[Measure]) -> Any:
    """Return a wandb_workspaces Report with the same panels, not yet saved.

    Raises:
        FacehallError: the extra ``dashboard`` is not installed.
    """
    _, reports = _libraries()
    blocks: list[Any] = []
    for name, found in layout(measures).items():
        runs = reports.Runset(entity=entity, project=project)
        blocks += [
            reports.H2(text=name),
            reports.PanelGrid(runsets=[runs], panels=[_panel(reports, each) for each in found]),
        ]
    return reports.Report(entity=entity, project=project, title="facehall trainings", blocks=blocks, width="fluid")


def _panel(reports: Any, panel: Panel) -> Any:
    if panel.pictures:
        return reports.MediaBrowser(title=panel.title, media_keys=list(panel.keys))
    drawn = {"metric_regex": panel.pattern} if panel.pattern else {"y": list(panel.keys)}
    return reports.LinePlot(title=panel.title, x=STEP, **drawn)


def _libraries() -> tuple[Any, Any]:
    try:
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
    except ImportError as error:
        raise FacehallError(
            f"wandb_workspaces cannot be imported ({error}). Install it: pip install 'facehall[dashboard]'."
        ) from None
    return workspaces, reports
