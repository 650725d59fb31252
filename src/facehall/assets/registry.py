"""Registry of third-party pretrained networks: names, files and tensor shapes."""

from __future__ import annotations

from dataclasses import dataclass

from facehall.errors import FacehallError


@dataclass(frozen=True)
class Asset:
    """The convolutions of a torchvision ImageNet classifier.

    name: this project's name for it.
    file: torchvision's file name, which ends with the first digits of the file's sha256.
    weights: torchvision's weights enum name.
    mirror_file, mirror_scope: file and outermost key in the archive of `facehall.assets.mirror`.
    convolutions: (index in torchvision's `features`, input channels, output channels, kernel size), in order.
    """

    name: str
    file: str
    weights: str
    mirror_file: str
    mirror_scope: str
    convolutions: tuple[tuple[int, int, int, int], ...]

    @property
    def sha256_prefix(self) -> str:
        """First eight hex digits of the published file's sha256, taken from its name."""
        return self.file.rsplit("-", 1)[1].removesuffix(".pth")

    @property
    def file_names(self) -> tuple[str, ...]:
        """Accepted file names of a local copy, in order of preference."""
        return f"{self.name}.safetensors", self.file, f"{self.name}.pth"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Key -> shape of every tensor required in a weights file."""
        shapes: dict[str, tuple[int, ...]] = {}
        for index, channels_in, channels_out, kernel in self.convolutions:
            shapes[f"features.{index}.weight"] = (channels_out, channels_in, kernel, kernel)
            shapes[f"features.{index}.bias"] = (channels_out,)
        return shapes

    @property
    def url(self) -> str:
        """Torchvision's download URL (the full classifier, including its fully connected layers)."""
        from torchvision.models import get_weight  # slow import, only needed for downloads

        return str(get_weight(self.weights).url)


VGG16 = Asset(
    name="vgg16",
    file="vgg16-397923af.pth",
    weights="VGG16_Weights.IMAGENET1K_V1",
    mirror_file="vgg16.ckpt",
    mirror_scope="VGG16_0",
    convolutions=(
        (0, 3, 64, 3),
        (2, 64, 64, 3),
        (5, 64, 128, 3),
        (7, 128, 128, 3),
        (10, 128, 256, 3),
        (12, 256, 256, 3),
        (14, 256, 256, 3),
        (17, 256, 512, 3),
        (19, 512, 512, 3),
        (21, 512, 512, 3),
        (24, 512, 512, 3),
        (26, 512, 512, 3),
        (28, 512, 512, 3),
    ),
)

ALEXNET = Asset(
    name="alexnet",
    file="alexnet-owt-7be5be79.pth",
    weights="AlexNet_Weights.IMAGENET1K_V1",
    mirror_file="alexnet.ckpt",
    mirror_scope="AlexNet_0",
    convolutions=(
        (0, 3, 64, 11),
        (3, 64, 192, 5),
        (6, 192, 384, 3),
        (8, 384, 256, 3),
        (10, 256, 256, 3),
    ),
)

ASSETS: dict[str, Asset] = {asset.name: asset for asset in (VGG16, ALEXNET)}


def get_asset(name: str) -> Asset:
    """Return the asset called `name`; raise FacehallError with the known names if there is none."""
    if name not in ASSETS:
        raise FacehallError(f"Unknown pretrained weights '{name}'; known names: {', '.join(ASSETS)}.")
    return ASSETS[name]
