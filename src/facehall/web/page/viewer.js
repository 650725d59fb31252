// The stage: before and after with a divider, zoom, and outlines of faces that can be switched on and off.

import { Frame } from "./frame.js";

const $ = (id) => document.getElementById(id);
/** CSS pixels that a pointer moves before a click becomes a drag. */
const DRAG = 5;

export class Viewer {
  /** @param {(index: number) => void} onFace called when a face is switched on or off */
  constructor(onFace) {
    this.stage = $("stage");
    this.frame = new Frame();
    this.split = 50;
    this.onFace = onFace;
    this.picture = null;
    this.pointers = new Map();
    new ResizeObserver(() => {
      this.frame.resize({ width: this.stage.clientWidth, height: this.stage.clientHeight });
      this.#place();
    }).observe(this.stage);
    $("split").addEventListener("input", (event) => this.#setSplit(Number(event.target.value)));
    $("before").addEventListener("error", () => this.#shown(false));
    $("before").addEventListener("load", () => this.#shown(true));
    $("tools").addEventListener("click", (event) => this.#zoom(event.target.dataset.zoom));
    this.stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.#down(event));
    this.stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel"]) this.stage.addEventListener(type, (event) => this.#up(event));
  }

  /** Show a picture, or what has changed of it. */
  show(picture) {
    const other = this.picture !== picture;
    this.picture = picture;
    const { result } = picture;
    if (other) {
      this.hasPreview = picture.hasPreview;
      $("before").src = picture.url;
      $("before").alt = `${picture.name}, before`;
    }
    for (const id of ["after", "tag-after"]) $(id).hidden = !result;
    if (result && $("after").src !== result.url) {
      $("after").src = result.url;
      $("after").alt = `${picture.name}, after`;
    }
    if (!result) $("after").removeAttribute("src");
    this.#layOut(!other);
  }

  #shown(hasPreview) {
    if (!this.picture || $("before").src !== this.picture.url) return;
    this.picture.hasPreview = hasPreview;
    if (hasPreview) this.picture.size = { width: $("before").naturalWidth, height: $("before").naturalHeight };
    this.#layOut(false);
  }

  #layOut(same) {
    const { result, size, hasPreview } = this.picture;
    const shown = result ?? size;
    $("before").hidden = hasPreview !== true;
    $("no-preview").hidden = hasPreview !== false || Boolean(result);
    const divided = Boolean(result) && hasPreview === true;
    for (const id of ["split", "handle"]) $(id).hidden = !divided;
    $("tag-before").hidden = hasPreview !== true;
    $("content").hidden = !shown;
    this.stage.classList.toggle("done", Boolean(result));
    if (shown) this.frame.setPicture({ width: shown.width, height: shown.height }, same);
    const text = (of) => `${of.width} × ${of.height}`;
    $("size").textContent = [size, result].filter(Boolean).map(text).join("  →  ");
    this.#drawFaces();
    this.#place();
  }

  #drawFaces() {
    const { faces, size } = this.picture;
    const focused = [...$("boxes").children].indexOf(document.activeElement);
    const buttons = (size && faces ? faces : []).map((face, index) => {
      const [left, top, right, bottom] = face.box;
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(face.on));
      const extent = `${Math.round(right - left)} by ${Math.round(bottom - top)} pixels`;
      button.setAttribute("aria-label", `Restore face ${index + 1}, ${extent}${face.note ? `, ${face.note}` : ""}`);
      button.setAttribute("aria-disabled", String(!face.restorable));
      button.title = face.note;
      button.style.left = `${(100 * left) / size.width}%`;
      button.style.top = `${(100 * top) / size.height}%`;
      button.style.width = `${(100 * (right - left)) / size.width}%`;
      button.style.height = `${(100 * (bottom - top)) / size.height}%`;
      // Clicks with a pointer are told from drags of the divider by the stage, which sees both.
      button.addEventListener("click", (event) => event.detail === 0 && this.onFace(index));
      return button;
    });
    $("boxes").replaceChildren(...buttons);
    buttons[focused]?.focus();
  }

  #place() {
    const { frame } = this;
    const content = $("content");
    content.style.width = `${frame.picture.width}px`;
    content.style.height = `${frame.picture.height}px`;
    content.style.transform = `translate(${frame.left}px, ${frame.top}px) scale(${frame.zoom})`;
    content.style.setProperty("--zoom", frame.zoom);
    content.classList.toggle("pixels", frame.zoom >= 4);
    this.stage.classList.toggle("zoomed", frame.overflows);
    this.#placeSplit();
  }

  #setSplit(percent) {
    this.split = Math.min(100, Math.max(0, percent));
    $("split").value = this.split;
    this.#placeSplit();
  }

  /** The divider runs over the visible part of the picture. */
  #placeSplit() {
    const { frame, split } = this;
    const [from, to] = this.#visible();
    const x = from + ((to - from) * split) / 100;
    $("handle").style.left = `${x}px`;
    $("split").setAttribute("aria-valuetext", `${Math.round(split)} % before`);
    const cut = $("split").hidden ? 0 : Math.max(0, (x - frame.left) / frame.zoom);
    $("after").style.clipPath = `inset(0 0 0 ${cut}px)`;
  }

  #visible() {
    const { frame } = this;
    const right = Math.min(frame.stage.width, frame.left + frame.picture.width * frame.zoom);
    return [Math.max(0, frame.left), right];
  }

  #zoom(action) {
    const { frame } = this;
    if (action === "fit") frame.fit();
    else if (action === "actual") frame.zoomBy(1 / devicePixelRatio / frame.zoom);
    else if (action) frame.zoomBy(action === "in" ? 1.5 : 1 / 1.5);
    this.#place();
  }

  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey && !this.frame.overflows) return; // let the page scroll
    event.preventDefault();
    this.frame.zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), ...this.#point(event));
    this.#place();
  }

  #down(event) {
    if (event.button > 0) return;
    this.pointers.set(event.pointerId, this.#point(event));
    this.stage.setPointerCapture(event.pointerId);
    const onHandle = Boolean(event.target.closest("#handle"));
    const box = event.target.closest("#boxes button");
    this.pressed = box && { index: [...$("boxes").children].indexOf(box), x: event.clientX, y: event.clientY };
    this.dividing = !$("split").hidden && (onHandle || !this.frame.overflows);
    if (this.dividing && !onHandle && !box) this.#divide(event);
  }

  #move(event) {
    const last = this.pointers.get(event.pointerId);
    if (!last) return;
    const { pressed } = this;
    if (pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < DRAG) return;
    this.pressed = null;
    const point = this.#point(event);
    this.pointers.set(event.pointerId, point);
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const distance = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
      this.frame.zoomBy(distance(point) / Math.max(1, distance(last)), ...other);
    } else if (this.dividing) {
      this.#divide(event);
    } else {
      this.frame.pan(point[0] - last[0], point[1] - last[1]);
    }
    this.#place();
  }

  #up(event) {
    this.pointers.delete(event.pointerId);
    if (this.pressed && event.type === "pointerup") this.onFace(this.pressed.index);
    this.pressed = null;
  }

  #divide(event) {
    const [from, to] = this.#visible();
    this.#setSplit((100 * (this.#point(event)[0] - from)) / (to - from));
  }

  #point(event) {
    const { left, top } = this.stage.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }
}
