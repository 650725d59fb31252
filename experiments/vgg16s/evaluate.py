"""Agreement on held-out pairs: python experiments/vgg16s/evaluate.py --data DIR --psnr FILE --gan FILE

FILEs are generator_psnr.safetensors and generator_ema.safetensors of a `make train` run, whose outputs are among the
pairs. Writes agreement.csv, families.csv, pairs.csv and scatter.png next to this file.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from candidates import candidates
from facehall.cli.experiments import experiment_parser
from facehall.io.progress import progress_bar
from facehall.metrics.lpips import LPIPS
from heldout import Pairs, heldout_pairs

mpl.use("Agg")
HERE = Path(__file__).parent
REFERENCE = "VGG16, two layers"


def eq1(extractor: torch.nn.Module, layers: dict[str, float]) -> Callable[[Tensor, Tensor], Tensor]:
    def distance(x: Tensor, y: Tensor) -> Tensor:
        a, b = extractor(x), extractor(y)
        return sum(weight * (a[n] - b[n]).square().mean((1, 2, 3)) for n, weight in layers.items())

    return distance


def measure(pairs: Pairs, weights: str | None) -> dict[str, np.ndarray]:
    measures: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "LPIPS-vgg": LPIPS("vgg"),
        "LPIPS-alex": LPIPS("alex"),
        **{name: eq1(*candidate) for name, candidate in candidates(weights).items()},
        "MSE of RGB": lambda x, y: (x - y).square().mean((1, 2, 3)),
    }
    found = {}
    with progress_bar("held-out pairs", len(measures)) as advance, torch.no_grad():
        for name, function in measures.items():
            batches = zip(pairs.distorted.split(20), pairs.clean.split(20), strict=True)
            found[name] = torch.cat([function(x, y) for x, y in batches]).double().numpy()
            advance()
    return found


def gradient_cosines(pairs: Pairs, weights: str | None, count: int = 100) -> dict[str, float]:
    """Return each distance's mean cosine similarity to VGG16's gradient in the distorted image, over `count` pairs."""
    chosen = np.random.default_rng(1).permutation(len(pairs.clean))[:count]
    x, y = pairs.distorted[chosen], pairs.clean[chosen]
    gradients = {}
    for name, candidate in candidates(weights).items():
        parts = []
        for xs, ys in zip(x.split(20), y.split(20), strict=True):
            xs = xs.clone().requires_grad_()
            parts.append(torch.autograd.grad(eq1(*candidate)(xs, ys).sum(), xs)[0].flatten(1))
        gradients[name] = torch.cat(parts)
    return {n: float(torch.cosine_similarity(g, gradients[REFERENCE]).mean()) for n, g in gradients.items()}


def interval(a: np.ndarray, b: np.ndarray, pictures: np.ndarray, draws: int = 300) -> tuple[float, float]:
    """Return the bootstrap 95 % confidence interval of Spearman's coefficient, resampling images."""
    rng = np.random.default_rng(0)
    groups = [np.flatnonzero(pictures == name) for name in np.unique(pictures)]
    found = []
    for _ in range(draws):
        rows = np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
        found.append(spearmanr(a[rows], b[rows])[0])
    return tuple(np.percentile(found, [2.5, 97.5]))


def write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def scatter(found: dict[str, np.ndarray], pairs: Pairs, path: Path) -> None:
    from matplotlib import pyplot as plt

    shown = ("VGG16s", "VGG16 cut at conv2_2, images / 2", "random VGG16s")
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.4), constrained_layout=True)
    for axis, name in zip(axes, shown, strict=True):
        for family in sorted(set(pairs.family)):
            rows = np.array(pairs.family) == family
            axis.loglog(found[REFERENCE][rows], found[name][rows], ".", markersize=3, alpha=0.6, label=family)
        if name == "VGG16s":
            ends = [found[REFERENCE].min(), found[REFERENCE].max()]
            axis.plot(ends, ends, "k-", linewidth=0.7)
            axis.legend(markerscale=3, fontsize=8)
        axis.set(xlabel="VGG16, 0.5 conv2_2 + 0.5 conv3_3", ylabel=name)
        axis.set_title(f"Spearman {spearmanr(found[REFERENCE], found[name])[0]:.3f}", fontsize=10)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = experiment_parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--psnr", type=Path, required=True)
    parser.add_argument("--gan", type=Path, required=True)
    parser.add_argument("--weights", help="VGG16s weights (default: the bundled ones)")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()

    pairs = heldout_pairs(options.data, options.psnr, options.gan)
    found = measure(pairs, options.weights)
    cosine = gradient_cosines(pairs, options.weights)
    picture, family = np.array(pairs.picture), np.array(pairs.family)
    rows, families = [], []
    for name, values in found.items():
        low, high = interval(values, found[REFERENCE], picture)
        rows.append(
            {
                "distance": name,
                "spearman_vgg16": f"{spearmanr(values, found[REFERENCE])[0]:.4f}",
                "low": f"{low:.4f}",
                "high": f"{high:.4f}",
                "spearman_lpips_vgg": f"{spearmanr(values, found['LPIPS-vgg'])[0]:.4f}",
                "spearman_lpips_alex": f"{spearmanr(values, found['LPIPS-alex'])[0]:.4f}",
                "gradient_cosine": f"{cosine[name]:.3f}" if name in cosine else "",
                "median_ratio": f"{np.median(values / found[REFERENCE]):.3g}",
            }
        )
        each = {}
        for kind in sorted(set(family)):
            rows_of = family == kind
            each[kind] = f"{spearmanr(values[rows_of], found[REFERENCE][rows_of])[0]:.4f}"
        families.append({"distance": name, **each})
    write(options.out / "agreement.csv", rows)
    write(options.out / "families.csv", families)
    columns = {"picture": pairs.picture, "family": pairs.family, "strength": pairs.strength}
    columns |= {name: [f"{v:.5g}" for v in found[name]] for name in (REFERENCE, "VGG16s", "LPIPS-vgg", "LPIPS-alex")}
    lines = zip(*columns.values(), strict=True)
    write(options.out / "pairs.csv", [dict(zip(columns, line, strict=True)) for line in lines])
    scatter(found, pairs, options.out / "scatter.png")
    print(f"{len(picture)} pairs")
    for row in rows:
        print("  ".join(str(value) for value in row.values()))


if __name__ == "__main__":
    main()
