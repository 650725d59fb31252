"""The training module: which network each step updates, step counts, and checks at assembly."""

from itertools import pairwise
from typing import ClassVar

import lightning as L
import pytest
import torch
from small import TINY_NETWORK

from facehall.losses import AdversarialLoss, LossTerm, PyramidPixelLoss
from facehall.metrics import Protocol
from facehall.models.generators import Generator, MultiScaleRRDB
from facehall.training import Curriculum
from facehall.training.curriculum import Phase

BOTH = {"pixel": 1, "adversarial": 0.1}


def snapshot(network):
    return [p.detach().clone() for p in network.parameters()]


def same(before, network):
    return all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def batch(module):
    lr = torch.rand(2, 3, 8, 8)
    return {"lr": lr, "hr": torch.rand(2, 3, 16, 16), "name": ["a", "b"]}


def generator_loss(module, data, weights):
    """The generator's weighted loss and its terms, as in a step at the full scale."""
    outputs = module.generator.outputs(data["lr"])
    outputs["sr"] = outputs["pyramid"][module.generator.scale]
    return module.losses(module.passes.generator_outputs(outputs, data), data, weights)


def generator_gradients(module, weights):
    """The generator's gradients after its part of a training step."""
    torch.manual_seed(1)
    data = batch(module)
    for stage in module.generator.stages:  # heads start at 0 and would pass no gradient
        torch.nn.init.normal_(stage.head.weight, std=0.1)
    loss, _ = generator_loss(module, data, weights)
    loss.backward()
    return [p.grad.clone() for p in module.generator.parameters()]


def test_the_gan_term_changes_the_generators_gradient(make_module):
    without = generator_gradients(make_module(), {"pixel": 1})
    with_gan = generator_gradients(make_module(), {"pixel": 1, "adversarial": 0.1})
    assert any(not torch.allclose(a, b) for a, b in zip(without, with_gan, strict=True))


def test_the_generator_loss_gives_the_discriminator_no_gradients(make_module):
    module = make_module()
    generator_gradients(module, {"pixel": 1, "perceptual": 0.1, "adversarial": 0.1})
    assert all(p.grad is None for p in module.discriminator.parameters())
    assert all(p.requires_grad for p in module.discriminator.parameters())


class Watch(L.Callback):
    """Record both networks before each optimizer step and after each batch."""

    def __init__(self):
        self.seen = []

    def record(self, when, module):
        self.seen.append((when, snapshot(module.generator), snapshot(module.discriminator)))

    def on_before_optimizer_step(self, trainer, module, optimizer):
        self.record(f"before {'GD'[trainer.optimizers.index(optimizer)]}", module)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.record("end", module)


def test_each_step_updates_only_its_own_network(make_module, fit):
    watch = Watch()
    fit(make_module(psnr_steps=0, gan_steps=3), 3, callbacks=[watch])
    assert [when for when, _, _ in watch.seen] == ["before D", "before G", "end"] * 3
    for (when, *before), (_, *after) in pairwise(watch.seen):
        moved = [
            any(not torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in zip(before, after, strict=True)
        ]
        expected = {"before D": [False, True], "before G": [True, False], "end": [False, False]}
        assert moved == expected[when], when


def test_the_discriminator_is_not_trained_in_the_psnr_phase(make_module, fit):
    module = make_module(psnr_steps=4, gan_steps=4)
    before = snapshot(module.discriminator)
    fit(module, 4)
    assert same(before, module.discriminator)
    fit(module, 1)
    assert not same(before, module.discriminator)


def test_a_warm_up_trains_the_discriminator_and_not_the_generator_against_it(make_module, fit):
    """The generator is updated as in a training without a GAN; the discriminator learns from its images."""
    with_gan = make_module(psnr_steps=1, gan_steps=4, warmup=3, generator_scheduler=None)
    before = snapshot(with_gan.discriminator)
    fit(with_gan, 4)
    assert not same(before, with_gan.discriminator)
    without = fit(make_module(psnr_steps=9, gan_steps=0, generator_scheduler=None), 4)
    assert same(snapshot(without.generator), with_gan.generator)


def test_generator_steps_are_counted(make_module, fit):
    module = fit(make_module(psnr_steps=2, gan_steps=4), 6)
    assert module.generator_step == 6


@pytest.mark.parametrize(
    ("done", "generator_rate", "discriminator_rate"), [(1, 0.505e-3, 1e-3), (4, 0.505e-3, 0.505e-3)]
)
def test_schedulers_are_stepped(make_module, fit, done, generator_rate, discriminator_rate):
    """Halfway through a phase of the cosine with floor 0.01 the rate is (1 + 0.01) / 2 of its peak."""
    module = fit(make_module(psnr_steps=2, gan_steps=4), done)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in module.trainer.optimizers]
    assert rates == pytest.approx([generator_rate, discriminator_rate])


def test_accumulation_steps_once_per_group_of_batches(make_module, fit):
    module = fit(make_module(accumulate=3), 6)
    assert module.generator_step == 2


def test_accumulated_gradients_are_those_of_the_larger_batch(make_module, fit):
    """In the PSNR phase the loss is a mean over the images: two batches of 2 step by the mean of their gradients."""
    module = make_module(psnr_steps=9, gan_steps=0, accumulate=2, generator_scheduler=None)
    module.factories = ((lambda p: torch.optim.SGD(p, lr=1.0), None), module.factories[1])
    reference = make_module(psnr_steps=9, gan_steps=0)
    fit(module, 2)
    patches = module.trainer.train_dataloader.dataset
    lr, hr = (torch.stack([patches[i][key] for i in range(4)]) for key in ("lr", "hr"))
    loss = reference.losses["pixel"]({"pyramid": reference.generator.pyramid(lr)}, {"hr": hr})
    loss.backward()
    for moved, start in zip(module.generator.parameters(), reference.generator.parameters(), strict=True):
        torch.testing.assert_close(moved, start - start.grad)


def test_gradients_are_clipped(make_module, fit):
    module = make_module(psnr_steps=9, gan_steps=0, clip=1e-3, generator_scheduler=None)
    module.factories = ((lambda p: torch.optim.SGD(p, lr=1.0), None), module.factories[1])
    before = snapshot(module.generator)
    fit(module, 1)
    moved = torch.stack([(a - b).norm() for a, b in zip(before, module.generator.parameters(), strict=True)]).norm()
    assert moved.item() == pytest.approx(1e-3, rel=1e-2)


def test_each_network_is_clipped_by_its_own_norm_before_its_step(make_module, fit):
    seen = []

    class Norms(L.Callback):
        def on_before_optimizer_step(self, trainer, module, optimizer):
            grads = [p.grad for group in optimizer.param_groups for p in group["params"]]
            seen.append(torch.nn.utils.get_total_norm(grads).item())

    fit(make_module(psnr_steps=0, gan_steps=2, clip=1e-3), 2, callbacks=[Norms()])
    assert seen == pytest.approx([1e-3] * 4, rel=1e-2)


def test_plain_training_without_discriminator_and_perceptual_network(make_module, fit):
    plain = {"discriminator": None, "losses": {"pixel": PyramidPixelLoss()}, "trains": ("generator",)}
    module = fit(make_module(gan={"pixel": 1}, **plain), 5)
    assert module.generator_step == 5
    assert len(module.trainer.optimizers) == 1


def test_validation_uses_the_average_and_not_the_live_network(make_module):
    module = make_module()
    lr = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        module.generator.stages[0].head.bias.add_(1)
    assert torch.equal(module(lr), module.ema.generator(lr))
    assert not torch.equal(module(lr), module.generator(lr))


def test_checkpoints_contain_only_the_trained_networks(make_module):
    names = {key.split(".")[0] for key in make_module().state_dict()}
    assert names == {"generator", "discriminator", "ema"}


def test_discriminator_without_optimizer_is_refused(make_module):
    with pytest.raises(ValueError, match=r"optimizer\.discriminator"):
        make_module(discriminator_optimizer=None)


def test_a_phase_with_nothing_to_minimise_is_refused(make_module):
    with pytest.raises(ValueError, match=r"the gan phase has nothing to minimise"):
        make_module(gan={"pixel": 0})


def test_a_warm_up_with_nothing_to_minimise_is_refused(make_module):
    """A warm-up has the weights of the previous phase, which may all be 0 (regression: a traceback)."""
    curriculum = Curriculum(
        [Phase("psnr", 0, {"pixel": 0}), Phase("gan", 4, {"pixel": 1, "perceptual": 1, "adversarial": 1}, warmup=2)]
    )
    with pytest.raises(ValueError, match=r"in a warm-up, each weight of the phase before"):
        make_module(curriculum=curriculum)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"gan": {"pixel": 1, "wavelet": 1}},
            r"curriculum\.gan\.weights\.wavelet is 1, but losses has pixel, perc.*add",
        ),
        ({"trains": ("generator",)}, r"losses\.adversarial \(ragan\) needs outputs\.fake_logits.*discriminator="),
        ({"discriminator": None}, r"curriculum\.gan\.trains names the discriminator, but there is none"),
        ({"discriminator_losses": {}}, r"discriminator_losses has no term"),
        ({"gan": {"pixel": 1}}, r"losses\.perceptual has no weight in any phase"),
    ],
)
def test_missing_parts_of_a_phase_are_reported_at_assembly(make_module, parts, message):
    with pytest.raises(ValueError, match=message):
        make_module(**parts)


class Landmarks(LossTerm):
    needs = ("outputs.sr", "batch.landmarks")

    def forward(self, outputs, batch):
        return outputs["sr"].mean() + batch["landmarks"].mean()


def test_a_term_reads_the_annotations_of_the_data(make_module):
    losses = {"pixel": PyramidPixelLoss(), "landmarks": Landmarks()}
    parts = {"losses": losses, "gan": {"pixel": 1, "landmarks": 0.5}, "discriminator": None, "trains": ("generator",)}
    with pytest.raises(ValueError, match=r"losses\.landmarks \(Landmarks\) needs batch\.landmarks.*data\.annotations"):
        make_module(**parts)
    module = make_module(**parts, batch_keys={"landmarks"})
    data = batch(module) | {"landmarks": torch.ones(2, 5, 2)}
    _, terms = generator_loss(module, data, {"landmarks": 0.5})
    assert terms["landmarks"].item() == pytest.approx(module.generator(data["lr"]).mean().item() + 1)


def test_the_active_scale_trains_only_the_coarser_part(make_module, fit):
    """At x2 of an x4 network the last stage is neither computed nor updated, and HR is downscaled to x2."""
    torch.manual_seed(0)
    generator = MultiScaleRRDB(scale=4, **TINY_NETWORK)
    curriculum = Curriculum([Phase("coarse", 2, {"pixel": 1}, scale=2), Phase("fine", 1, {"pixel": 1})])
    parts = {"generator": generator, "discriminator": None, "losses": {"pixel": PyramidPixelLoss()}}
    module = make_module(curriculum=curriculum, protocol=Protocol(4), generator_scheduler=None, **parts)

    class EnlargeHr(L.Callback):
        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            batch["hr"] = batch["hr"].repeat_interleave(2, -1).repeat_interleave(2, -2)  # x4 of the fixture's x2

    fine = snapshot(generator.stages[1])
    fit(module, 2, callbacks=[EnlargeHr()])
    assert same(fine, module.generator.stages[1])
    fit(module, 1, callbacks=[EnlargeHr()])
    assert not same(fine, module.generator.stages[1])


def test_an_active_scale_outside_the_pyramid_is_rejected(make_module):
    curriculum = Curriculum([Phase("a", 1, {"pixel": 1}, scale=4)])
    with pytest.raises(ValueError, match=r"curriculum\.a\.scale=4, but MultiScaleRRDB predicts x2"):
        make_module(curriculum=curriculum, discriminator=None, losses={"pixel": PyramidPixelLoss()})


def test_a_phase_can_train_only_the_discriminator(make_module, fit):
    curriculum = Curriculum(
        [
            Phase("warm", 2, {}, trains=("discriminator",)),
            Phase("gan", 2, {"pixel": 1, "perceptual": 1, "adversarial": 1}, trains=("generator", "discriminator")),
        ]
    )
    module = make_module(curriculum=curriculum)
    generator, discriminator = snapshot(module.generator), snapshot(module.discriminator)
    fit(module, 2)
    assert same(generator, module.generator)
    assert not same(discriminator, module.discriminator)
    fit(module, 1)
    assert not same(generator, module.generator)
    assert module.generator_step == 3


def test_optimizer_settings_apply_only_in_their_phase(make_module, fit):
    gan = {"pixel": 1, "perceptual": 1, "adversarial": 1}
    both = ("generator", "discriminator")
    curriculum = Curriculum(
        [
            Phase("psnr", 1, {"pixel": 1}),
            Phase("gan", 1, gan, trains=both, optimizer={"generator": {"betas": [0.5, 0.9]}}),
            Phase("last", 1, gan, trains=both),
        ]
    )
    seen = []

    class Betas(L.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            seen.append(trainer.optimizers[0].param_groups[0]["betas"])

    fit(make_module(curriculum=curriculum), 3, callbacks=[Betas()])
    assert seen == [(0.9, 0.999), (0.5, 0.9), (0.9, 0.999)]


def test_losses_and_measures_stay_in_float32_under_mixed_precision(make_module):
    module = make_module()
    data = batch(module)
    with torch.autocast("cpu", torch.bfloat16):
        _, terms = generator_loss(module, data, {"pixel": 1, "perceptual": 0.1, "adversarial": 0.1})
        measured = module._measure({key: data[key][:1] for key in data})
    assert {term.dtype for term in terms.values()} == {torch.float32}
    assert measured.dtype == torch.float32
    assert torch.equal(measured, module(data["lr"][:1]))


@pytest.mark.parametrize(("kind", "passes"), [("vanilla", 1), ("hinge", 1), ("ragan", 2)])
def test_the_discriminator_evaluates_hr_only_if_the_loss_is_relativistic(make_module, kind, passes):
    module = make_module(losses={"adversarial": AdversarialLoss(kind), "pixel": PyramidPixelLoss()}, gan=BOTH)
    data, seen = batch(module), []
    module.discriminator.register_forward_hook(lambda *call: seen.append(call))
    generator_loss(module, data, BOTH)
    assert len(seen) == passes


def test_channels_last_networks_have_the_same_gradients(make_module):
    plain, turned = make_module(), make_module(memory_format=torch.channels_last)
    assert turned.generator.first.weight.is_contiguous(memory_format=torch.channels_last)
    for stage in plain.generator.stages:
        torch.nn.init.normal_(stage.head.weight, std=0.1)
    turned.load_state_dict(plain.state_dict())
    torch.manual_seed(1)
    data = batch(plain)
    for module in (plain, turned):
        turned_data = data | {"lr": data["lr"].to(memory_format=module.memory_format)}
        _, terms = generator_loss(module, turned_data, {"pixel": 1, "perceptual": 0.1, "adversarial": 0.1})
        torch.stack(list(terms.values())).sum().backward()
    for a, b in zip(plain.generator.parameters(), turned.generator.parameters(), strict=True):
        assert (a.grad - b.grad).norm() < 1e-2 * a.grad.norm()  # batch norm over few values magnifies rounding


class Luma(Generator):
    """A network like SRCNN: enlarged luma -> luma."""

    scale, input, colour = 2, "bicubic", "y"
    arguments: ClassVar = {}

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 1, 3, padding=1)

    def pyramid(self, lr, up_to=None):
        assert lr.shape[1:] == (1, 16, 16)
        return {2: lr + self.conv(lr)}


def test_a_luma_network_trains_with_every_loss_and_validates_in_rgb(make_module, fit):
    module = make_module(generator=Luma(), psnr_steps=1, gan_steps=2)
    before = snapshot(module.generator)
    fit(module, 3)
    assert not same(before, module.generator)
    sr = module(torch.rand(1, 3, 8, 8))
    assert sr.shape == (1, 3, 16, 16)
    assert not torch.equal(sr[:, 0], sr[:, 1])
