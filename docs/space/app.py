"""A Gradio page around facehall's PhotoRestorer, for a hosted Space: pip install 'facehall[onnx]' gradio."""

from __future__ import annotations

import functools

import gradio as gr
import numpy as np

from facehall.errors import FacehallError
from facehall.inference.photographs import PhotoRestorer

MAX_PIXELS = 4_000_000
"""Of the result; a Space has two cores."""
NOTICE = (
    "Faces are found, restored and pasted back. The network invents detail that the photograph does not hold: never "
    "use a result as evidence of who somebody is. The weights are for research use."
)


@functools.lru_cache(4)
def restorer(scale: int, fidelity: float, background: bool) -> PhotoRestorer:
    """Return the restorer for these settings; the last ones are kept in memory."""
    rest = "weights" if background else "none" if scale == 1 else "bicubic"
    return PhotoRestorer(scale=scale, fidelity=fidelity, background=rest)


def restore(photograph: np.ndarray | None, scale: int, fidelity: float, background: bool) -> tuple:
    """Return the photograph before and after, and a line about its faces."""
    if photograph is None:
        raise gr.Error("Choose a photograph first.")
    if photograph.shape[0] * photograph.shape[1] * scale**2 > MAX_PIXELS:
        raise gr.Error(f"The result would exceed {MAX_PIXELS // 1_000_000} megapixels. Choose a smaller scale.")
    try:
        result, report = restorer(scale, round(fidelity, 1), background).restore(photograph)
    except FacehallError as error:
        raise gr.Error(str(error)) from None
    restored = sum(face.action != "left" for face in report.faces)
    return (photograph, result.rgb), f"{len(report.faces)} faces found, {restored} restored."


with gr.Blocks(title="facehall", analytics_enabled=False) as page:
    gr.Markdown(f"# facehall\n{NOTICE}")
    with gr.Row():
        with gr.Column():
            photograph = gr.Image(label="Photograph", type="numpy", image_mode="RGB")
            scale = gr.Radio([1, 2, 4], value=4, label="Enlarge")
            fidelity = gr.Slider(0, 1, 0, step=0.1, label="Detail: sharp (0) to faithful (1)")
            background = gr.Checkbox(True, label="The rest of the picture, too")
            button = gr.Button("Restore", variant="primary")
        with gr.Column():
            compared = gr.ImageSlider(label="Before and after")
            about = gr.Markdown()
    button.click(restore, [photograph, scale, fidelity, background], [compared, about], concurrency_limit=1)

if __name__ == "__main__":
    page.queue(max_size=8).launch()
