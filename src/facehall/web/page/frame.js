// Where a picture lies within the stage: zoom and position, in CSS pixels.

/** CSS pixels a pixel of the picture, or times the size that fits, if that is more. */
const [MAX_ZOOM, MAX_TIMES_FIT] = [16, 4];

export class Frame {
  constructor() {
    this.stage = { width: 1, height: 1 };
    this.picture = { width: 1, height: 1 };
    this.zoom = 1;
    this.left = 0;
    this.top = 0;
    this.fitted = true;
  }

  /** Zoom at which the whole picture is visible. */
  get fitZoom() {
    return Math.min(this.stage.width / this.picture.width, this.stage.height / this.picture.height);
  }

  /** Whether some of the picture is outside the stage. */
  get overflows() {
    return this.zoom > this.fitZoom * 1.001;
  }

  resize(stage) {
    this.stage = stage;
    if (this.fitted) this.fit();
    else this.#keepInside();
  }

  /** Take a picture of another size; one that shows the same (`same`) stays where it was. */
  setPicture(picture, same) {
    const factor = picture.width / this.picture.width;
    this.picture = picture;
    if (!same || this.fitted) return this.fit();
    this.zoom /= factor;
    this.#keepInside();
  }

  fit() {
    this.zoom = this.fitZoom;
    this.fitted = true;
    this.#keepInside();
  }

  /** Multiply the zoom, with the point (x, y) of the stage staying in place. */
  zoomBy(factor, x = this.stage.width / 2, y = this.stage.height / 2) {
    const zoom = Math.min(Math.max(this.zoom * factor, this.fitZoom), Math.max(MAX_ZOOM, MAX_TIMES_FIT * this.fitZoom));
    const ratio = zoom / this.zoom;
    this.left = x - (x - this.left) * ratio;
    this.top = y - (y - this.top) * ratio;
    this.zoom = zoom;
    this.fitted = !this.overflows;
    this.#keepInside();
  }

  pan(dx, dy) {
    this.left += dx;
    this.top += dy;
    this.#keepInside();
  }

  #keepInside() {
    for (const [position, side] of [["left", "width"], ["top", "height"]]) {
      const spare = this.stage[side] - this.picture[side] * this.zoom;
      this[position] = spare >= 0 ? spare / 2 : Math.min(0, Math.max(spare, this[position]));
    }
  }
}
