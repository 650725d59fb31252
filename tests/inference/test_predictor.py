"""The Predictor: greyscale, alpha, sizes, bit depth, streaming and failures."""

import numpy as np
import pytest
import torch
from PIL import Image
from small import tiny_generator, write_weights

from facehall.errors import FacehallError
from facehall.imaging import Picture, read_picture, to_tensor, to_uint8, upscale_bicubic, write_picture
from facehall.inference import Failure, Job, Outcome, Predictor, plan

RNG = np.random.default_rng(0)


def noise(*shape):
    return RNG.integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def predictor(tmp_path):
    return Predictor(write_weights(tmp_path / "w.safetensors"), device="cpu", backend="eager")


def test_result_is_the_rounded_network_output(predictor):
    rgb = noise(11, 7, 3)
    picture = predictor.upscale(rgb)
    with torch.no_grad():
        expected = to_uint8(tiny_generator()(to_tensor(rgb)[None])[0])
    assert np.array_equal(picture.rgb, expected)
    assert picture.alpha is None
    assert not picture.grey


def test_grey_stays_grey(predictor):
    levels = noise(8, 9, 1).repeat(3, axis=2)
    coloured = predictor.upscale(levels).rgb.astype(int)
    assert np.ptp(coloured, axis=2).max() > 1  # the network tints grey
    grey = predictor.upscale(Picture(levels, grey=True))
    assert grey.grey
    assert np.ptp(grey.rgb, axis=2).max() == 0
    assert np.abs(grey.rgb[..., 0] - coloured.mean(axis=2)).max() <= 1


def test_alpha_is_upscaled_separately(predictor):
    rgb, alpha = noise(8, 9, 3), noise(8, 9)
    picture = predictor.upscale(Picture(rgb, alpha))
    assert np.array_equal(picture.rgb, predictor.upscale(rgb).rgb)
    bicubic = upscale_bicubic(torch.from_numpy(alpha)[None].float(), 2)[0].clamp(0, 255).round().numpy()
    assert np.array_equal(picture.alpha, bicubic)
    opaque = predictor.upscale(Picture(rgb, np.full((8, 9), 255, np.uint8)))
    assert opaque.alpha.min() == 255


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 2)])
def test_the_smallest_pictures(predictor, size):
    assert predictor.upscale(noise(*size, 3)).rgb.shape == (2 * size[0], 2 * size[1], 3)


def test_files_keep_name_format_alpha_and_grey(predictor, tmp_path):
    source = tmp_path / "in"
    (source / "sub").mkdir(parents=True)
    Image.fromarray(noise(8, 8, 4)).save(source / "sub" / "alpha.png")
    Image.fromarray(noise(8, 8)).save(source / "grey.png")
    Image.fromarray(noise(8, 8)).save(source / "Grey.JPG")
    Image.fromarray(noise(8, 8, 3)).save(source / "old.bmp")
    results = list(predictor.run(plan(source, tmp_path / "out")))
    assert all(isinstance(result, Outcome) and result.written for result in results)
    modes = {}
    for path in (tmp_path / "out").rglob("*.*"):
        with Image.open(path) as image:
            modes[path.relative_to(tmp_path / "out").as_posix()] = (image.format, image.mode, image.size)
    assert modes == {
        "sub/alpha.png": ("PNG", "RGBA", (16, 16)),
        "grey.png": ("PNG", "L", (16, 16)),
        "Grey.JPG": ("JPEG", "L", (16, 16)),
        "old.png": ("PNG", "RGB", (16, 16)),
    }


def test_one_bad_file_does_not_stop_the_rest(predictor, tmp_path, photographs):
    (photographs / "0.png").write_bytes(b"no picture")
    (photographs / "1.jpg").write_bytes((photographs / "1.png").read_bytes()[:300])
    results = list(predictor.run(plan(photographs, tmp_path / "out")))
    failures = [result for result in results if isinstance(result, Failure)]
    assert [failure.source.name for failure in failures] == ["0.png", "1.jpg"]
    assert all(str(failure.source) in failure.reason for failure in failures)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{i}.png" for i in range(1, 6)]


def test_existing_files_are_skipped_unless_overwrite(predictor, tmp_path, photographs):
    jobs = plan(photographs / "0.png", tmp_path / "out")
    write_picture(jobs[0].target, np.zeros((4, 4, 3), np.uint8))
    assert [result.written for result in predictor.run(jobs)] == [False]
    assert read_picture(jobs[0].target).rgb.max() == 0
    assert [result.written for result in predictor.run(jobs, overwrite=True)] == [True]
    assert read_picture(jobs[0].target).rgb.shape == (128, 128, 3)


def test_a_target_that_cannot_be_written_is_a_failure(predictor, tmp_path, photographs):
    (tmp_path / "file").touch()
    (result,) = predictor.run([Job(photographs / "0.png", tmp_path / "file" / "0.png")])
    assert isinstance(result, Failure)
    assert str(tmp_path / "file" / "0.png") in result.reason


def test_too_little_memory_stops_the_batch(predictor, photographs, tmp_path):
    def allocate(module, lr):
        torch.empty(10**15)

    predictor.generator.register_forward_pre_hook(allocate)
    with pytest.raises(FacehallError, match="cpu has too little memory, even for tiles of"):
        list(predictor.run(plan(photographs, tmp_path / "out")))
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize(("shape", "mode"), [((9, 8, 3), "RGB"), ((9, 8), "L"), ((9, 8, 2), "LA"), ((9, 8, 4), "RGBA")])
def test_arrays_pillow_images_and_files_are_equivalent(predictor, tmp_path, shape, mode):
    array = noise(*shape)
    Image.fromarray(array, mode).save(tmp_path / "x.png")
    expected = predictor.upscale(array)
    assert (expected.grey, expected.alpha is not None) == (mode in ("L", "LA"), mode in ("LA", "RGBA"))
    path = tmp_path / "x.png"
    for given in (Image.fromarray(array, mode), path, str(path), read_picture(path)):
        picture = predictor.upscale(given)
        assert np.array_equal(picture.rgb, expected.rgb)
        assert picture.grey == expected.grey
        assert expected.alpha is None or np.array_equal(picture.alpha, expected.alpha)


@pytest.mark.parametrize("array", [np.zeros((4, 4, 3)), np.zeros((4, 4, 5), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_are_rejected(predictor, array):
    with pytest.raises(ValueError, match=r"a picture is \(H, W, 3\) uint8 or uint16"):
        predictor.upscale(array)


def test_sixteen_bits_are_preserved(predictor):
    deep = RNG.integers(0, 65536, (7, 9, 3), dtype=np.uint16)
    alpha = np.full((7, 9), 65535, np.uint16)
    picture = predictor.upscale(Picture(deep, alpha))
    with torch.no_grad():
        sr = tiny_generator()(torch.from_numpy(deep.astype(np.float32)).permute(2, 0, 1)[None] / 65535)[0]
    expected = (sr.clamp(0, 1) * 65535).round().permute(1, 2, 0).numpy()
    assert picture.rgb.dtype == np.uint16
    assert np.abs(picture.rgb.astype(int) - expected).max() <= 1
    assert len(np.unique(picture.rgb // 256)) > 60
    assert picture.alpha.min() == 65535


def test_the_ensemble_is_the_mean_of_eight(tmp_path):
    weights = write_weights(tmp_path / "w.safetensors")
    lr = torch.rand(3, 6, 9)
    outputs = []
    with torch.no_grad():
        for axes in ([], [1], [2], [1, 2]):
            for transposed in (False, True):
                view = lr.flip(axes).transpose(1, 2) if transposed else lr.flip(axes)
                sr = tiny_generator()(view[None])[0]
                outputs.append((sr.transpose(1, 2) if transposed else sr).flip(axes))
    expected = torch.stack(outputs).mean(0).clamp(0, 1)
    torch.testing.assert_close(Predictor(weights, "cpu", backend="eager", ensemble=True).super_resolve(lr), expected)
    assert (Predictor(weights, "cpu", backend="eager").super_resolve(lr) - expected).abs().max() > 1 / 255


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_large_results_are_streamed(tmp_path, monkeypatch, mode, suffix):
    monkeypatch.setattr("facehall.inference.streaming.MIN_STREAMED_PIXELS", 100)
    weights = write_weights(tmp_path / "w.safetensors")
    source = tmp_path / f"in{suffix}"
    Image.fromarray(noise(50, 40, 4), "RGBA").convert(mode).save(source, lossless=True)
    predictor = Predictor(weights, "cpu", backend="eager", tile=16)
    done = []
    (result,) = predictor.run(source, tmp_path / "out", advance=done.append)
    assert isinstance(result, Outcome), result.reason
    assert sum(done) == 50 * 40
    assert len(done) > 3
    written, expected = read_picture(result.target), predictor.upscale(source)
    assert np.array_equal(written.rgb, expected.rgb)
    assert written.grey == expected.grey
    assert (written.alpha is None) == (expected.alpha is None)
    assert expected.alpha is None or np.array_equal(written.alpha, expected.alpha)
    assert [path.name for path in result.target.parent.iterdir()] == [result.target.name]


def test_large_results_keep_depth_and_metadata(tmp_path, monkeypatch):
    weights = write_weights(tmp_path / "w.safetensors")
    exif = Image.Exif()
    exif[0x010E] = "a face"
    deep = Picture(RNG.integers(0, 65536, (30, 40, 3), dtype=np.uint16), exif=exif.tobytes(), dpi=(300.0, 300.0))
    write_picture(tmp_path / "in.png", deep)
    pictures = []
    for streamed in (10**9, 100):
        monkeypatch.setattr("facehall.inference.streaming.MIN_STREAMED_PIXELS", streamed)
        (result,) = Predictor(weights, "cpu", backend="eager", tile=16).run(
            tmp_path / "in.png", tmp_path / str(streamed), compression=1
        )
        pictures.append(read_picture(result.target))
    assert pictures[0].rgb.dtype == np.uint16
    assert np.array_equal(pictures[0].rgb, pictures[1].rgb)
    for name in ("exif", "icc", "dpi"):
        assert getattr(pictures[0], name) == getattr(pictures[1], name)


def test_an_interrupted_stream_keeps_the_old_file(tmp_path, monkeypatch, photographs):
    monkeypatch.setattr("facehall.inference.streaming.MIN_STREAMED_PIXELS", 100)
    predictor = Predictor(write_weights(tmp_path / "w.safetensors"), "cpu", backend="eager", tile=16)
    write_picture(tmp_path / "out" / "0.png", np.zeros((4, 4, 3), np.uint8))

    def interrupt(pixels):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(predictor.run(photographs / "0.png", tmp_path / "out", overwrite=True, advance=interrupt))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["0.png"]
    assert read_picture(tmp_path / "out" / "0.png").rgb.shape == (4, 4, 3)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"tile": 0}, "tile=0"),
        ({"tile": "abc"}, "tile=abc"),
        ({"device": "gpu"}, r"device=gpu is not available.*Use auto, cpu or cuda"),
        ({"device": "cuda:99"}, "device=cuda:99 is not available"),
    ],
)
def test_invalid_settings(tmp_path, settings, says):
    weights = write_weights(tmp_path / "w.safetensors")
    with pytest.raises(FacehallError, match=says):
        Predictor(weights, **settings)
