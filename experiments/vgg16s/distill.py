"""Distil VGG16s from VGG16: python experiments/vgg16s/distill.py --data DIR --out runs/vgg16s --minutes 45

DIR is a folder as described in README.md. If interrupted, the same command resumes from the last checkpoint.
"""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save
from scipy.linalg import qr
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from facehall.cli.experiments import experiment_parser
from facehall.io.atomic import replacing
from facehall.models.perceptual import VGG16S_LAYERS, VGG16Features, VGG16sFeatures
from facehall.models.perceptual.vgg16s import WIDTHS
from pictures import HELD_BACK, distort, pictures, random_crop, read, training_crops

Features = dict[str, Tensor]
STORED, SIDE = 80, 64  # side of the stored crops and of the patches sampled from them, in pixels
TEACHER = {"conv2_2": 128, "conv3_3": 256}  # channels


class Student(nn.Module):
    """VGG16s and the linear maps that are folded into it at the end.

    A 1x1 adapter A maps a layer's features to VGG16's. A second map B accounts for the part of VGG16's distances that
    no adapter can reach. |A d|^2 + |B d|^2 = |R d|^2 with the Cholesky factor R of A'A + B'B, a square matrix of the
    small network's own width; only R is kept.
    """

    def __init__(self, widths: tuple[tuple[int, ...], ...] = WIDTHS) -> None:
        super().__init__()
        self.network = VGG16sFeatures(pretrained=False, widths=widths).requires_grad_(True)
        self.network.head.requires_grad_(False)
        self.width = dict(zip(VGG16S_LAYERS, (widths[1][-1], widths[2][-1]), strict=True))
        self.adapters = nn.ModuleDict({n: nn.Conv2d(c, TEACHER[n], 1) for n, c in self.width.items()})
        self.rest = nn.ModuleDict({n: nn.Conv2d(c, c, 1, bias=False) for n, c in self.width.items()})

    def mapped(self, name: str, difference: Tensor) -> tuple[Tensor, Tensor]:
        """Map a layer's difference (N, C, h, w) to VGG16's channels; return it and the predicted MSE, (N,)."""
        reached = F.conv2d(difference, self.adapters[name].weight)
        energy = reached.square().sum((1, 2, 3)) + self.rest[name](difference).square().sum((1, 2, 3))
        return reached, energy / reached[0].numel()

    def distances(self, x: Features, y: Features) -> Tensor:
        """Return the predicted VGG16 MSE of each layer: (N, layers)."""
        return torch.stack([self.mapped(name, x[name] - y[name])[1] for name in VGG16S_LAYERS], 1)

    @torch.no_grad()
    def init_from_vgg16(self, images: Tensor) -> None:
        """Initialise from VGG16 with the most informative channels of each layer, layer by layer.

        Channels are selected by a pivoted QR decomposition of the activations after the ReLU; each convolution is a
        ridge regression of its channels on this network's previous layer, and so are the adapters.
        """
        names = [f"conv{b}_{i}" for b, block in enumerate(self.network.blocks, 1) for i in range(1, len(block) + 1)]
        wanted = VGG16Features(names)(images)
        x = (images - self.network.mean) / self.network.std
        for name in names:
            if name.endswith("_1") and name != "conv1_1":
                x = F.max_pool2d(x, 2)
            convolution = self.network.blocks[int(name[4]) - 1][int(name[-1]) - 1]
            target = wanted[name].permute(0, 2, 3, 1).flatten(0, 2)
            sample = torch.randperm(len(target))[:12000]
            activated = target[sample].relu()
            order = qr((activated - activated.mean(0)).numpy(), mode="r", pivoting=True)[1]
            chosen = torch.from_numpy(order[: convolution.out_channels].copy())
            patches = F.unfold(x, 3, padding=1).transpose(1, 2).flatten(0, 1)
            weight, bias = ridge(patches[sample], target[sample][:, chosen])
            convolution.weight.copy_(weight.view(convolution.weight.shape))
            convolution.bias.copy_(bias)
            before = convolution(x)
            if name in self.adapters:
                flat = before.permute(0, 2, 3, 1).flatten(0, 2)
                weight, bias = ridge(flat[sample], target[sample])
                self.adapters[name].weight.copy_(weight[..., None, None])
                self.adapters[name].bias.copy_(bias)
            x = before.relu()

    @torch.no_grad()
    def folded(self) -> VGG16sFeatures:
        """Return the released network, whose mean squared feature difference approximates VGG16's MSE."""
        widths = [[c.out_channels for c in block] for block in self.network.blocks]
        shipped = VGG16sFeatures(pretrained=False, widths=widths)
        state = self.network.state_dict()
        root = {}
        for name, width in self.width.items():
            a, b = (m.weight.flatten(1).double() for m in (self.adapters[name], self.rest[name]))
            form = (a.T @ a + b.T @ b) * width / TEACHER[name]
            # The upper factor: R'R = form.
            root[name] = torch.linalg.cholesky(form + 1e-9 * form.diag().mean() * torch.eye(width)).T
        state["head.weight"] = root["conv2_2"].float()[..., None, None]
        last = f"blocks.2.{len(widths[2]) - 1}."
        for kind in ("weight", "bias"):
            value = state[last + kind].double()
            state[last + kind] = torch.tensordot(root["conv3_3"], value, 1).float()
        shipped.load_state_dict(state)
        return shipped


def ridge(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return weight (outputs, inputs) and bias (outputs,) of a ridge regression of y (N, outputs) on x (N, inputs)."""
    x, y = x.double(), y.double()
    a, b = x - x.mean(0), y - y.mean(0)
    form = a.T @ a
    weight = torch.linalg.solve(form + 1e-4 * form.diag().mean() * torch.eye(len(form)), a.T @ b).T
    return weight.float(), (y.mean(0) - weight @ x.mean(0)).float()


def teacher_distances(x: Features, y: Features) -> Tensor:
    return torch.stack([(x[n].float() - y[n].float()).square().mean((1, 2, 3)) for n in VGG16S_LAYERS], 1)


def to_tensor(images: list[np.ndarray]) -> Tensor:
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return (batch.float() / 255 if batch.dtype == torch.uint8 else batch).contiguous(memory_format=torch.channels_last)


class Batches:
    """Triples of a crop and two distortions of it."""

    def __init__(self, store: np.ndarray, size: int, seed: int) -> None:
        self.store, self.size, self.rng = store, size, np.random.default_rng(seed)

    def __next__(self) -> tuple[Tensor, Tensor, Tensor]:
        rng, clean, first, second = self.rng, [], [], []
        for i in rng.integers(0, len(self.store), self.size):
            top, left = rng.integers(0, STORED - SIDE + 1, 2)
            crop = self.store[i, top : top + SIDE, left : left + SIDE].astype(np.float32) / 255
            crop = np.rot90(crop, int(rng.integers(4)))[:, :: rng.choice([-1, 1])].copy()
            clean.append(crop)
            first.append(distort(crop, rng))
            second.append(distort(crop, rng))
        return to_tensor(clean), to_tensor(first), to_tensor(second)


def make_store(data: Path, path: Path) -> np.ndarray:
    if not path.is_file():
        crops = list(training_crops(data, STORED, np.random.default_rng(0)))
        with replacing(path) as partial, partial.open("wb") as file:
            np.save(file, np.stack(crops))
    return np.load(path, mmap_mode="r")


class Validation:
    """Pairs of 96x96 crops of faces/val and of the held-out BSDS images, with VGG16's distances in float32."""

    def __init__(self, data: Path, teacher: nn.Module, draws: int = 6) -> None:
        rng = np.random.default_rng(7)
        paths = pictures(data / "faces/val/celebahq512") + pictures(data / "general/bsds200")[::HELD_BACK]
        clean = [random_crop(read(path), 96, rng).astype(np.float32) / 255 for path in paths for _ in range(draws)]
        self.clean, self.distorted = to_tensor(clean), to_tensor([distort(crop, rng) for crop in clean])
        with torch.no_grad():
            pairs = zip(self.clean.split(10), self.distorted.split(10), strict=True)
            self.target = torch.cat([teacher_distances(teacher(x), teacher(y)) for x, y in pairs])

    @torch.no_grad()
    def __call__(self, student: Student) -> dict[str, float]:
        pairs = zip(self.clean.split(10), self.distorted.split(10), strict=True)
        network = student.network
        found = torch.cat([student.distances(network(x), network(y)) for x, y in pairs])
        ratio = (found / self.target).log()
        each = zip(VGG16S_LAYERS, found.T, self.target.T, strict=True)
        return {
            "spearman": float(spearmanr(found.mean(1), self.target.mean(1))[0]),
            **{f"spearman_{name}": float(spearmanr(a, b)[0]) for name, a, b in each},
            "log_ratio": float(ratio.mean()),
            "log_spread": float(ratio.std()),
        }


def losses(
    student: Student, teacher: nn.Module, triple: tuple[Tensor, Tensor, Tensor], sobolev: int
) -> dict[str, Tensor]:
    """Return the loss terms listed in `WEIGHT`; gradient terms use the first `sobolev` pairs."""
    n = len(triple[0])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        target = {name: value.float() for name, value in teacher(torch.cat(triple)).items()}
    found = student.network(torch.cat(triple))
    feature, difference, distance = [], [], []
    for name in VGG16S_LAYERS:
        clean, others = target[name][:n], target[name][n:]
        variance = clean.var((0, 2, 3)).mean()
        feature.append((student.adapters[name](found[name][:n]) - clean).square().mean() / variance)
        wanted = others - clean.repeat(2, 1, 1, 1)
        reached, d_s = student.mapped(name, found[name][n:] - found[name][:n].repeat(2, 1, 1, 1))
        d_t = wanted.square().mean((1, 2, 3))
        difference.append(((reached - wanted).square().mean((1, 2, 3)) / (d_t + 1e-3 * variance)).mean())
        distance.append(F.smooth_l1_loss((d_s + 1e-4).log(), (d_t + 1e-4).log(), beta=0.3))
    terms = {
        "feature": torch.stack(feature).mean(),
        "difference": torch.stack(difference).mean(),
        "distance": torch.stack(distance).mean(),
    }
    if sobolev:
        clean, first = triple[0][:sobolev], triple[1][:sobolev]
        terms |= gradient_terms(student, teacher, clean, first, {k: v[:sobolev] for k, v in target.items()})
    return terms


def gradient_terms(
    student: Student, teacher: nn.Module, clean: Tensor, x: Tensor, target: Features
) -> dict[str, Tensor]:
    """Return the terms on direction and norm of the distance's image gradient, through which the loss acts."""
    x = x.detach().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        features = teacher(x)
    (wanted,) = torch.autograd.grad(teacher_distances(features, target).mean(1).sum(), x)
    mine = student.distances(student.network(x), student.network(clean)).mean(1).sum()
    (found,) = torch.autograd.grad(mine, x, create_graph=True)
    wanted, found = wanted.flatten(1).float(), found.flatten(1)
    ratio = (found.norm(dim=1) + 1e-6).log() - (wanted.norm(dim=1) + 1e-6).log()
    return {"direction": (1 - torch.cosine_similarity(found, wanted)).mean(), "length": ratio.square().mean()}


WEIGHT = {"feature": 1.0, "difference": 1.0, "distance": 1.0, "direction": 1.0, "length": 0.1}


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--sobolev", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--widths", type=json.loads, default=WIDTHS)
    parser.add_argument("--store", type=Path, help="file of cached crops (default: OUT/crops.npy)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)

    teacher = VGG16Features(VGG16S_LAYERS).to(memory_format=torch.channels_last)
    student = Student(options.widths).to(memory_format=torch.channels_last)
    averaged = AveragedModel(student, multi_avg_fn=ema_update)
    optimizer = torch.optim.Adam([p for p in student.parameters() if p.requires_grad], betas=(0.9, 0.99))
    store = make_store(options.data, options.store or options.out / "crops.npy")
    validation = Validation(options.data, teacher)
    state = {"step": 0, "seconds": 0.0, "best": 1e9}
    checkpoint = options.out / "last.pt"
    if checkpoint.is_file():
        saved = torch.load(checkpoint, weights_only=True)
        state = saved["state"]
        student.load_state_dict(saved["student"])
        averaged.load_state_dict(saved["averaged"])
        optimizer.load_state_dict(saved["optimizer"])
    else:
        first = np.random.default_rng(0).permutation(len(store))[:32]
        student.init_from_vgg16(to_tensor(list(store[np.sort(first)])))
        averaged.load_state_dict(AveragedModel(student).state_dict())
        print("at the start:", {name: round(value, 4) for name, value in validation(student).items()}, flush=True)
    batches = Batches(store, options.batch, options.seed + state["step"])
    print(f"{len(store)} crops, {len(validation.clean)} validation pairs, from step {state['step']}", flush=True)

    sums: dict[str, float] = {}
    count, before, last_look = 0, time.monotonic(), state["seconds"]
    while state["seconds"] < 60 * options.minutes:
        done = state["seconds"] / (60 * options.minutes)
        rate = options.lr * min(1, (state["step"] + 1) / 100) * (0.5 + 0.5 * float(np.cos(np.pi * done)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        terms = losses(student, teacher, next(batches), options.sobolev)
        optimizer.zero_grad()
        sum(WEIGHT[name] * term for name, term in terms.items()).backward()
        nn.utils.clip_grad_norm_(student.parameters(), 5.0)
        optimizer.step()
        averaged.update_parameters(student)
        state["step"] += 1
        count += 1
        for name, term in terms.items():
            sums[name] = sums.get(name, 0.0) + float(term.detach())
        state["seconds"] += time.monotonic() - before
        before = time.monotonic()
        if state["seconds"] - last_look > 120 or state["seconds"] >= 60 * options.minutes:
            last_look = state["seconds"]
            seen = validation(averaged.module)
            row = {"step": state["step"], "minutes": state["seconds"] / 60, "lr": rate}
            row |= {name: value / count for name, value in sums.items()} | seen
            log(options.out / "log.csv", row)
            sums, count = {}, 0
            if (
                seen["log_spread"] < state["best"]
            ):  # more sensitive than Spearman's coefficient, which is soon close to 1
                state["best"] = seen["log_spread"]
                export(averaged.module, options.out / "vgg16s.safetensors", state["step"])
            with replacing(checkpoint) as partial:
                parts = {"student": student, "averaged": averaged, "optimizer": optimizer}
                torch.save({"state": state} | {name: part.state_dict() for name, part in parts.items()}, partial)
            before = time.monotonic()


@torch.no_grad()
def ema_update(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
    """Update an exponential moving average with a warm-up of its decay."""
    torch._foreach_lerp_(averaged, current, float(1 - min(0.998, (1 + count) / (10 + count))))


def log(path: Path, row: dict[str, float]) -> None:
    new = not path.is_file()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow({name: f"{value:.6g}" for name, value in row.items()})
    print(" ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)


def export(student: Student, path: Path, step: int) -> None:
    """Write the folded network in half precision."""
    tensors = {name: value.half().contiguous() for name, value in student.folded().state_dict().items()}
    with replacing(path) as partial:
        partial.write_bytes(save(tensors, {"format": "pt", "source": f"experiments/vgg16s, step {step}"}))


if __name__ == "__main__":
    main()
