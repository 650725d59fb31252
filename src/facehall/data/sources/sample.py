"""Sample photographs from installed packages, for a first training without a download."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from facehall.data.sources.base import ImageFile, Split, check_split
from facehall.errors import FacehallError

_SKIMAGE = ("skimage", "data")
_MATPLOTLIB = ("matplotlib", "mpl-data", "sample_data")

# The two portraits are in val and test, one each, along with a crop of another photograph that train does not use.
_FILES: dict[Split, list[tuple[tuple[str, ...], str, tuple[int, int, int, int] | None]]] = {
    "train": [
        (_SKIMAGE, "brick.png", None),
        (_SKIMAGE, "camera.png", None),
        (_SKIMAGE, "coins.png", None),
        (_SKIMAGE, "coffee.png", None),
        (_SKIMAGE, "grass.png", None),
        (_SKIMAGE, "gravel.png", None),
        (_SKIMAGE, "ihc.png", None),
        (_SKIMAGE, "motorcycle_left.png", None),
    ],
    "val": [
        (_SKIMAGE, "astronaut.png", (96, 0, 352, 256)),
        (_SKIMAGE, "chelsea.png", (96, 22, 352, 278)),
    ],
    "test": [
        (_MATPLOTLIB, "grace_hopper.jpg", (136, 88, 392, 344)),
        (_SKIMAGE, "rocket.jpg", (192, 171, 448, 427)),
    ],
}


class SampleSource:
    """A dozen photographs from the scikit-image and matplotlib wheels.

    Faces: the astronaut Eileen Collins in val, Rear Admiral Grace Hopper in test (both public domain). Val and test
    are cropped to 256x256 around the main subject, which keeps validation cheap.
    """

    def split(self, which: Split) -> list[ImageFile]:
        check_split(which)
        return [ImageFile(Path(name).stem, _locate(where, name), box=box) for where, name, box in _FILES[which]]


def _locate(where: tuple[str, ...], name: str) -> Path:
    package, *folders = where
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise FacehallError(f"data=sample needs {name} from the package {package}, which is not installed: install it.")
    path = Path(spec.origin).parent.joinpath(*folders, name)
    if not path.is_file():
        raise FacehallError(
            f"data=sample: {path} is missing; this version of {package} no longer ships it. Install the versions in "
            "constraints.txt, or use your own pictures with data=folder data.root=DIR."
        )
    return path
