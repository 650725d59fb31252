"""A comparison: an evaluation of the catalogue's systems, with published figures, training times and remarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from facehall.evaluation.columns import Row, finite
from facehall.evaluation.evaluation import MEAN, Evaluation
from facehall.inference.availability import Available, Missing
from facehall.systems import PublishedFigure, System

UNDERTRAINED = 30.3
"""PSNR on Y of Set5 x4 in dB, that of A+: a network that was trained here and stays below is undertrained."""
RULE_SET, RULE_SCALE = "Set5", 4

ORIGINS = {"none": "none", "package": "package", "authors": "authors'", "trained": "trained here"}
"""Origin of the weights in the table."""


@dataclass(frozen=True)
class Comparison:
    """Systems of the catalogue, measured alike.

    Attributes:
        evaluation: the measures and costs.
        scale: s.
        systems: the catalogue's entries of the measured systems, by name.
        available: their weights, by name.
        missing: systems without weights.
        benchmarks: set -> name of the complete benchmark that it is; published figures apply to these only.
        failures: system -> reason why its training failed.
    """

    evaluation: Evaluation
    scale: int
    systems: Mapping[str, System]
    available: Mapping[str, Available]
    missing: Sequence[Missing] = ()
    benchmarks: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)

    def rows(self) -> list[Row]:
        """Return the table rows: those of the evaluation, with a set in each, and the columns of the comparison."""
        single = self.evaluation.sets[0].name if len(self.evaluation.sets) == 1 else ""
        undertrained = self.undertrained()
        rows = []
        for row in self.evaluation.rows():
            name, set_name = row["method"], row.get("set", single)
            figure = self.published(name, set_name)
            rows.append(
                {
                    "set": set_name,
                    **row,
                    "training_minutes": self.available[name].minutes,
                    "training_steps": self.available[name].steps,
                    "weights": ORIGINS[self.available[name].origin],
                    "published": None if figure is None else published_text(figure),
                    "note": "undertrained" if name in undertrained else None,
                }
            )
        return rows

    def published(self, system: str, set_name: str) -> PublishedFigure | None:
        """Return the published figure to show beside a row: on Y if there is one."""
        if set_name == MEAN or set_name not in self.benchmarks:
            return None
        figures = self.systems[system].figures(self.benchmarks[set_name], self.scale)
        return min(figures, key=lambda each: each.channel != "y", default=None)

    def undertrained(self) -> list[str]:
        """Return the networks trained here that stay below `UNDERTRAINED` dB on Set5 x4.

        Systems whose own published figure lies below, such as SRGAN, which was trained for appearance, are not judged.
        """
        index = next((i for i, each in enumerate(self.evaluation.sets) if self._is_rule_set(each.name)), None)
        if index is None or "psnr_y" not in self.evaluation.protocol.names:
            return []
        found = []
        for name in self.evaluation.sets[index].names:
            trained = self.available[name].origin == "trained" and self.systems[name].kind == "network"
            figure = self.published(name, self.evaluation.sets[index].name)
            expected = figure.psnr if figure is not None and figure.channel == "y" else None
            judged = trained and (expected is None or expected >= UNDERTRAINED)
            if judged and self.evaluation.means(name, index)["psnr_y"] < UNDERTRAINED:
                found.append(name)
        return found

    def notes(self) -> list[str]:
        """Return the notes below the table."""
        notes = self.evaluation.notes()
        missing = self.evaluation.protocol.missing
        notes += [f"{label} is missing: {reason}" for label, reason in missing.items()]
        notes.append(
            "Published figures stand beside complete benchmark sets only, with their own protocol. Training time and "
            "steps are those of the run folder, without those of a system whose weights it started from."
        )
        if self.undertrained():
            notes.append(
                f"undertrained: trained here and below {UNDERTRAINED} dB on {RULE_SET} x{RULE_SCALE} (Y), which A+ "
                "reaches without training a network; it says nothing about what the system can do."
            )
        return notes

    def _is_rule_set(self, set_name: str) -> bool:
        return self.scale == RULE_SCALE and self.benchmarks.get(set_name, "").lower() == RULE_SET.lower()


def published_text(figure: PublishedFigure) -> str:
    """Format a published figure with its protocol: ``30.48 / .8628 (Y, border 4)``."""
    ssim = "" if figure.ssim is None else f" / {figure.ssim:.4f}".replace(" 0.", " .")
    lpips = "" if figure.lpips is None else f", LPIPS {figure.lpips:g}"
    psnr = "" if figure.psnr is None else f"{figure.psnr:.2f}"
    source = f"; {figure.source}" if figure.source else ""
    return f"{psnr}{ssim}{lpips} ({figure.protocol}{source})".strip()


def document(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data for JSON: rows, systems, missing ones, protocol."""
    evaluation = comparison.evaluation
    return {
        "scale": comparison.scale,
        "protocol": evaluation.protocol.description,
        "missing_measures": dict(evaluation.protocol.missing),
        "sets": {
            each.name: {"images": len(each.images), "benchmark": comparison.benchmarks.get(each.name) or None}
            for each in evaluation.sets
        },
        "input": evaluation.costs["input"],
        "device": evaluation.costs["device"],
        "timed_once": list(evaluation.costs.get("timed_once", ())),
        "systems": {
            system.name: {
                "title": comparison.systems[system.name].title,
                "paper": comparison.systems[system.name].paper,
                "kind": comparison.systems[system.name].kind,
                "tables": list(comparison.systems[system.name].tables),
                "weights": system.origin or None,
                "origin": comparison.available[system.name].origin,
                "backend": system.backend,
                "trained_on": list(system.trained_on),
                "training_minutes": comparison.available[system.name].minutes,
                "training_steps": comparison.available[system.name].steps,
            }
            for system in evaluation.systems
        },
        "missing": {each.name: each.advice for each in comparison.missing},
        "failed_trainings": dict(comparison.failures),
        "undertrained": comparison.undertrained(),
        "table": [{key: finite(value) for key, value in row.items()} for row in comparison.rows()],
    }
