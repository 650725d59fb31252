"""The residual network with a parsing prior."""

import pytest
import torch
from torch.testing import assert_close

from facehall.distributed.threads import ThreadGroup
from facehall.errors import FacehallError
from facehall.imaging import upscale_bicubic
from facehall.losses import Outputs, ParsingLoss
from facehall.metrics import count_gmacs
from facehall.models.generators import MultiScaleResNet, ParsingResNet
from facehall.models.weights import load_generator, save_generator

SMALL = {"blocks": 3, "features": 8, "stage_features": 8, "parser_blocks": 2, "parser_features": 6}


@pytest.mark.parametrize(("scale", "scales"), [(2, [2]), (4, [2, 4]), (8, [2, 4, 8])])
def test_untrained_it_gives_the_bicubic_image_and_a_map_of_twice_the_resolution(scale, scales):
    lr = torch.rand(2, 3, 5, 7)
    found = ParsingResNet(scale, **SMALL).outputs(lr)
    assert list(found["pyramid"]) == scales
    for each, image in found["pyramid"].items():
        assert_close(image, upscale_bicubic(lr, each))
    assert found["parsing"].shape == (2, 9, 10, 14)
    assert list(ParsingResNet(scale, **SMALL).outputs(lr, up_to=2)["pyramid"]) == [2]


def test_the_map_reaches_the_image_at_every_scale():
    torch.manual_seed(0)
    network = ParsingResNet(4, **SMALL, detach=False)
    for convolution in (network.into_trunk, *network.into_stages, *network.heads):
        torch.nn.init.normal_(convolution.weight)
    lr = torch.rand(1, 3, 6, 6)
    for scale in (2, 4):
        for target in (network.into_trunk, network.into_stages[0]):
            network.zero_grad()
            network.pyramid(lr)[scale].square().mean().backward()
            assert target.weight.grad.abs().sum() > 0
            assert network.parser[0].weight.grad.abs().sum() > 0
    network.detach = True
    network.zero_grad()
    network.pyramid(lr)[4].square().mean().backward()
    assert network.parser[0].weight.grad is None


def test_the_loss_trains_the_head_and_the_first_blocks():
    torch.manual_seed(0)
    network, loss = ParsingResNet(2, **SMALL), ParsingLoss()
    lr = torch.zeros(1, 3, 8, 8)
    lr[..., 4:] = 1
    labels = torch.zeros(1, 16, 16, dtype=torch.int64)
    labels[..., 8:] = 3
    optimizer = torch.optim.Adam(network.parameters(), 0.02)
    first = None
    for _ in range(60):
        found = loss(Outputs(network.outputs(lr)), {"parsing": labels})
        first = found.item() if first is None else first
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
    assert network.trunk[0].first.weight.grad.abs().sum() > 0
    assert found.item() < 0.2 * first
    assert (network.outputs(lr)["parsing"].argmax(1) == labels).float().mean() > 0.9


def test_balance_weighs_classes_and_labels_are_reduced_at_their_centres():
    logits = torch.randn(1, 3, 2, 2)
    labels = torch.tensor([[[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]])
    small = torch.tensor([[[0, 1], [0, 0]]])
    plain = ParsingLoss(0.0)(Outputs({"parsing": logits}), {"parsing": labels})
    assert_close(plain, torch.nn.functional.cross_entropy(logits, small))
    balanced = ParsingLoss(1.0)(Outputs({"parsing": logits}), {"parsing": labels})
    each = torch.nn.functional.cross_entropy(logits, small, reduction="none")
    assert_close(balanced, (each[small == 0].mean() + each[small == 1].mean()) / 2)
    with pytest.raises(FacehallError, match="have the class 5, but the generator predicts 3 classes"):
        ParsingLoss()(Outputs({"parsing": logits}), {"parsing": labels + 4})


def test_parts_of_a_batch_are_weighed_by_the_classes_of_the_whole():
    """The mean of the parts' losses is the whole batch's, though their classes are not equally frequent."""
    logits, labels = torch.randn(2, 3, 4, 4), torch.zeros(2, 8, 8, dtype=torch.int64)
    labels[0, :3] = 1
    labels[1, :7] = 2
    group = ThreadGroup(2)
    try:
        parts = group.run(
            lambda rank: ParsingLoss()(Outputs({"parsing": logits[rank, None]}), {"parsing": labels[rank, None]})
        )
    finally:
        group.close()
    assert_close(torch.stack(parts).mean(), ParsingLoss()(Outputs({"parsing": logits}), {"parsing": labels}))


def test_the_prior_costs_little():
    example = torch.zeros(1, 3, 16, 16)
    plain, parsing = MultiScaleResNet(8), ParsingResNet(8)
    assert count_gmacs(parsing, example) < 1.05 * count_gmacs(plain, example)
    extra = sum(p.numel() for p in parsing.parameters()) - sum(p.numel() for p in plain.parameters())
    assert extra < 30_000


def test_weights_rebuild_the_network(tmp_path):
    network = ParsingResNet(4, **SMALL, position=4)
    save_generator(tmp_path / "network.safetensors", network)
    again = load_generator(tmp_path / "network.safetensors")
    assert isinstance(again, ParsingResNet)
    assert again.whole_picture
    lr = torch.rand(1, 3, 6, 6)
    assert_close(again(lr), network(lr))


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="parser_blocks must be from 1 to 2"):
        ParsingResNet(2, blocks=3, parser_blocks=3)
    with pytest.raises(ValueError, match=r"balance must be in \[0, 1\]"):
        ParsingLoss(2.0)
