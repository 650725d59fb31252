"""The page of `facehall serve` in a real browser."""

import io
import zipfile

import numpy as np
import pytest
from browser import Tab, levels, picture_file
from small_page import Site, encoded, noise

from facehall.inference import Predictor
from facehall.web.work import Limits


@pytest.fixture(scope="module")
def site(browser, tmp_path_factory):
    with Site(tmp_path_factory.mktemp("site"), Limits(bytes=200_000, pixels=60_000, jobs=4)) as site:
        yield site


@pytest.fixture
def tab(browser, site):
    with Tab(browser, site.url) as tab:
        yield tab
        assert tab.problems == []


def predicted(site, image, fidelity=None):
    predictor = Predictor(site.engine._weights, "cpu", "eager", fidelity=fidelity)
    return predictor.upscale(np.asarray(image)).rgb.astype(int)


def test_result_is_the_predictors_to_the_pixel(tab, site):
    image = noise()
    tab.add(picture_file(encoded(image), "me.png"))
    tab.page.wait_for_selector("#before:visible")
    assert tab.page.inner_text("#size") == "24 × 16"
    np.testing.assert_array_equal(levels(tab.restore()), predicted(site, image, 0.0))
    assert tab.page.get_attribute("#download", "download") == "me_x2.png"
    assert tab.page.inner_text("#size") == "24 × 16 → 48 × 32"
    assert "me.png is restored: 48 by 32 pixels" in tab.page.text_content("#status")


def test_fidelity_and_format(tab, site):
    image = noise(seed=1)
    tab.add(picture_file(encoded(image)))
    tab.page.focus("#fidelity")
    for _ in range(3):
        tab.page.keyboard.press("ArrowRight")
    assert tab.page.get_attribute("#fidelity", "aria-valuetext") == "30 % faithful"
    np.testing.assert_array_equal(levels(tab.restore()), predicted(site, image, 0.3))
    tab.page.select_option("#format", "webp")
    tab.page.click("#restore")
    tab.page.wait_for_selector("#download[download$=webp]")
    np.testing.assert_array_equal(levels(tab.downloaded()), predicted(site, image, 0.3))


def test_slider_by_keyboard_and_by_mouse(tab):
    tab.add(picture_file(encoded(noise())))
    tab.restore()
    page = tab.page
    page.focus("#split")
    assert page.get_attribute("#split", "aria-valuetext") == "50 % before"
    cut = "() => Number(document.getElementById('after').style.clipPath.match(/([0-9.]+)px\\)$/)[1])"
    assert page.evaluate(cut) == pytest.approx(24)
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    assert page.get_attribute("#split", "aria-valuetext") == "60 % before"
    assert page.evaluate(cut) == pytest.approx(0.6 * 48)
    page.keyboard.press("Home")
    assert page.evaluate(cut) == 0
    box = page.locator("#before").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.9)
    page.mouse.down()
    page.mouse.up()
    assert page.evaluate(cut) == pytest.approx(12, abs=0.5)


def test_zoom(tab):
    tab.add(picture_file(encoded(noise())))
    page = tab.page
    width = lambda: page.locator("#before").bounding_box()["width"]  # noqa: E731
    page.wait_for_selector("#before:visible")
    fitted = width()
    page.click("[data-zoom=in]")
    assert width() == pytest.approx(1.5 * fitted, rel=0.01)
    before = page.locator("#before").bounding_box()
    page.mouse.move(before["x"] + 200, before["y"] + 200)
    page.mouse.down()
    page.mouse.move(before["x"] + 160, before["y"] + 200, steps=3)
    page.mouse.up()
    assert page.locator("#before").bounding_box()["x"] < before["x"]
    page.click("[data-zoom=fit]")
    assert width() == pytest.approx(fitted)


def test_faces_are_switched_by_keyboard_and_by_mouse(tab, site):
    tab.add(picture_file(encoded(noise(100, 60))))
    page = tab.page
    first, second, third = (page.locator("#boxes button").nth(index) for index in range(3))
    assert second.get_attribute("aria-label") == "Restore face 2, 9 by 9 pixels, too small"
    assert [box.get_attribute("aria-pressed") for box in (first, second, third)] == ["true", "false", "true"]
    assert page.inner_text("#faces-text") == "3 faces found, 2 to be restored, 1 too difficult."
    second.focus()
    page.keyboard.press("Space")
    assert second.get_attribute("aria-pressed") == "false"
    assert page.text_content("#status") == "Face 2 stays as it is: too small."
    third.focus()
    page.keyboard.press("Space")
    assert third.get_attribute("aria-pressed") == "false"
    first.click()
    first.click()
    assert first.get_attribute("aria-pressed") == "true"
    assert not page.is_checked("#background")
    tab.restore()
    assert site.engine.asked[-1].faces == (0,)
    assert site.engine.asked[-1].background is None
    page.check("#background")
    page.click("#faces-none")
    page.click("#restore")
    page.wait_for_selector("#cancel", state="hidden")
    assert site.engine.asked[-1].faces == ()
    assert site.engine.asked[-1].background


def test_a_picture_without_faces_is_enlarged_by_the_network(tab, site, monkeypatch):
    monkeypatch.setattr(site.engine, "faces", lambda picture: [])
    tab.add(picture_file(encoded(noise())))
    tab.page.wait_for_selector("text=No face found.")
    assert tab.page.is_checked("#background")
    tab.restore()
    assert site.engine.asked[-1].background is None  # which means so


def test_bad_and_huge_files(tab):
    tab.add(picture_file(b"no picture", "broken.png"))
    tab.page.wait_for_selector("#message:visible")
    assert "broken.png is not an image in a supported format" in tab.page.inner_text("#message")
    tab.add(picture_file(bytes(300_000), "huge.png"))
    assert tab.page.inner_text("#notice") == "huge.png has 0.3 MB; this page takes up to 0.2."
    assert tab.page.locator("#strip li").count() == 1
    tab.add(picture_file(encoded(noise(300, 100)), "wide.png"))
    tab.page.click("#restore")
    tab.page.wait_for_selector("#message:visible")
    assert "wide.png has 300 x 100 pixels" in tab.page.inner_text("#message")
    tab.page.click("[aria-label='Remove wide.png']")
    tab.page.click("[aria-label='Remove broken.png']")
    assert tab.page.locator("#work").is_hidden()


def test_several_pictures_and_the_archive(tab, site):
    images = [noise(seed=seed) for seed in range(3)]
    tab.add(*(picture_file(encoded(image), f"{'ab'[i // 2]}.png") for i, image in enumerate(images)))
    tab.page.click("#restore-all")
    tab.page.wait_for_selector("#download-all:visible")
    tab.page.wait_for_function("() => document.querySelectorAll('#strip .mark').length === 3")
    tab.page.wait_for_selector("#cancel", state="hidden")
    with zipfile.ZipFile(io.BytesIO(tab.downloaded("#download-all"))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a_x2.png", "a_x2 (2).png", "b_x2.png"]
        for name, image in zip(archive.namelist(), images, strict=True):
            np.testing.assert_array_equal(levels(archive.read(name)), predicted(site, image, 0.0))


def test_two_tabs_and_cancel(tab, browser, site):
    site.engine.gate.clear()
    try:
        tab.add(picture_file(encoded(noise())))
        tab.page.click("#restore")
        tab.page.wait_for_function("() => document.getElementById('progress-text').textContent.includes('25 %')")
        with Tab(browser, site.url) as other:
            other.add(picture_file(encoded(noise(seed=1))))
            other.page.click("#restore")
            other.page.wait_for_function(
                "() => document.getElementById('progress-text').textContent.startsWith('Waiting for')"
            )
            tab.page.click("#cancel")
            tab.page.wait_for_selector("#cancel", state="hidden")
            assert tab.page.text_content("#status") == "Cancelled."
            site.engine.gate.set()
            other.page.wait_for_selector("#download:visible")
            assert other.problems == []
    finally:
        site.engine.gate.set()
    tab.restore()


def test_paste(tab):
    tab.page.evaluate(
        """async () => {
            const canvas = new OffscreenCanvas(12, 9);
            canvas.getContext("2d").fillRect(0, 0, 5, 5);
            const data = new DataTransfer();
            data.items.add(new File([await canvas.convertToBlob()], "pasted.png", { type: "image/png" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
        }"""
    )
    tab.page.wait_for_selector("#before:visible")
    assert tab.page.inner_text("#size") == "12 × 9"


def test_server_that_is_gone(browser, tmp_path):
    with Site(tmp_path) as site, Tab(browser, site.url) as tab:
        site.close()
        tab.add(picture_file(encoded(noise())))
        tab.page.wait_for_selector("#message:visible")
        assert "does not answer. Is it still running?" in tab.page.inner_text("#message")


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_accessible_and_without_horizontal_scrolling(browser, site, colours):
    with Tab(browser, site.url, color_scheme=colours, viewport={"width": 360, "height": 740}) as tab:
        assert tab.violations() == []
        tab.add(picture_file(encoded(noise())), picture_file(encoded(noise(seed=1)), "b.png"))
        tab.page.wait_for_selector("#boxes button")
        tab.restore()
        assert tab.violations() == []
        assert tab.page.evaluate("() => document.documentElement.scrollWidth") <= 360
