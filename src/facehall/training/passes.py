"""Forward and backward passes of a training step, on a batch or on one thread's slice of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from facehall.losses import Outputs, WeightedTerms
from facehall.models.generators import Generator
from facehall.training.batches import downscale_batch, loss_outputs, network_input, to_generator_colour
from facehall.training.curriculum import Phase
from facehall.training.spans import span

Batch = dict[str, Any]
Backward = Callable[[Tensor], None]
"""Accumulates a loss's gradients in the parameters that take part in it."""


@dataclass(frozen=True)
class Passes:
    """The networks and losses of a training, and what a step computes with them except updates and logging.

    Args:
        generator, discriminator: the networks; None trains without a GAN.
        losses, discriminator_losses: the terms of each network's loss.
        memory_format: of the images.
    """

    generator: Generator
    discriminator: nn.Module | None
    losses: WeightedTerms
    discriminator_losses: WeightedTerms
    memory_format: torch.memory_format = torch.contiguous_format

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """The networks and losses that exist."""
        parts = (self.generator, self.discriminator, self.losses, self.discriminator_losses)
        return tuple(part for part in parts if part is not None)

    def generate(self, batch: Batch, phase: Phase) -> tuple[Batch, dict[str, Any]]:
        """Run the generator; return the prepared batch and the generator's outputs with ``sr``.

        One pass serves both networks: detached for the discriminator, with gradients for the generator's loss.
        """
        batch = self._prepare(batch, phase)
        with span("generator forward"):
            outputs = self.generator.outputs(network_input(batch["lr"], self.generator), phase.scale)
            return batch, loss_outputs(outputs, phase.scale or self.generator.scale)

    def _prepare(self, batch: Batch, phase: Phase) -> Batch:
        """Convert a batch to the networks' memory format and colour channels, at the active scale."""
        images = {name: batch[name].to(memory_format=self.memory_format) for name in ("lr", "hr")}
        scale = self.generator.scale
        batch = to_generator_colour({**batch, **images}, self.generator)
        return downscale_batch(batch, scale // (phase.scale or scale))

    def train_discriminator(
        self, batch: Batch, outputs: Mapping[str, Any], phase: Phase, backward: Backward
    ) -> dict[str, Tensor]:
        """Add the gradients of the discriminator's loss; return values to log."""
        discriminator, hr, sr = self.discriminator, batch["hr"], outputs["sr"].detach()
        assert discriminator is not None
        weights = phase.discriminator_weights or dict.fromkeys(self.discriminator_losses.names, 1.0)
        with span("discriminator forward"):
            real, fake = promote_half(discriminator(hr)), promote_half(discriminator(sr))
            judged = Outputs({"sr": sr, "real_logits": real, "fake_logits": fake, "discriminator": discriminator})
            loss, terms = self.discriminator_losses(judged, batch, weights)
        with span("discriminator backward"):
            backward(loss)
        statistics = {
            "D(real)": real.sigmoid().mean(),
            "D(fake)": fake.sigmoid().mean(),
            "D_gap": real.mean() - fake.mean(),
        }
        each = {f"discriminator_{name}": value for name, value in terms.items()} if len(terms) > 1 else {}
        return {"discriminator": loss, **each, **statistics}

    def train_generator(
        self, batch: Batch, outputs: dict[str, Any], weights: Mapping[str, float], backward: Backward
    ) -> dict[str, Tensor]:
        """Add the gradients of the generator's loss; return values to log."""
        loss, terms = self.losses(self.generator_outputs(outputs, batch), batch, weights, span)
        with span("generator backward"):
            backward(loss)
        return {**terms, "generator": loss}

    def generator_outputs(self, outputs: dict[str, Any], batch: Batch) -> Outputs:
        """Return the generator's outputs, with the discriminator's logits for terms that need them."""
        discriminator = self.discriminator
        if discriminator is None:
            return Outputs(outputs)

        def logits(images: Tensor) -> Tensor:
            # The discriminator's parameters get no gradient here, but gradients still flow to the image.
            discriminator.requires_grad_(False)
            try:
                return promote_half(discriminator(images))
            finally:
                discriminator.requires_grad_(True)

        def fake_logits() -> Tensor:
            return logits(outputs["sr"])

        @torch.no_grad()
        def real_logits() -> Tensor:
            return logits(batch["hr"])

        return Outputs(outputs, {"fake_logits": fake_logits, "real_logits": real_logits})


def promote_half(x: Tensor) -> Tensor:
    """Convert 16-bit floats to float32, as losses of logits are sums and exponentials; others are unchanged."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
