// The photographs that were added, and the strip that shows them.

/** A photograph: its file, what was found in it, and its result. */
export class Photograph {
  constructor(file) {
    this.file = file;
    this.name = file.name || "pasted.png";
    this.url = URL.createObjectURL(file);
    this.hasPreview = undefined; // until the browser has tried
    this.size = null; // in pixels, once known
    this.faces = null; // [{box, restorable, note, on}]
    this.result = null; // {blob, url, width, height, format, settings}
    this.error = "";
    this.waiting = false;
  }

  /** Name of the result's file. */
  get resultName() {
    const dot = this.name.lastIndexOf(".");
    const stem = dot > 0 ? this.name.slice(0, dot) : this.name;
    const { scale, format } = this.result;
    return `${stem}_${scale === 1 ? "restored" : `x${scale}`}.${format}`;
  }

  /** Positions of the faces to restore; undefined where none were looked for. */
  get chosenFaces() {
    return this.faces?.flatMap((face, index) => (face.on ? [index] : []));
  }

  setResult(result) {
    if (this.result) URL.revokeObjectURL(this.result.url);
    this.result = result && { ...result, url: URL.createObjectURL(result.blob) };
  }

  release() {
    this.setResult(null);
    URL.revokeObjectURL(this.url);
  }
}

/** Draw the strip; `pick` and `drop` are called with a photograph. */
export function drawStrip(list, photographs, current, pick, drop) {
  const focused = document.activeElement?.closest?.("#strip button")?.dataset.key;
  list.hidden = photographs.length === 0;
  list.replaceChildren(
    ...photographs.map((photograph, index) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "pick";
      button.dataset.key = `pick ${index}`;
      button.setAttribute("aria-current", String(photograph === current));
      const state = photograph.error ? "failed" : photograph.waiting ? "waiting" : photograph.result ? "restored" : "";
      button.setAttribute("aria-label", state ? `${photograph.name}, ${state}` : photograph.name);
      button.addEventListener("click", () => pick(photograph));
      if (photograph.hasPreview !== false) {
        const image = document.createElement("img");
        image.src = photograph.url;
        image.alt = "";
        image.addEventListener("error", () => image.remove());
        button.append(image);
      }
      item.append(button);
      if (state) {
        const mark = document.createElement("span");
        mark.className = "mark";
        mark.setAttribute("aria-hidden", "true");
        mark.textContent = { failed: "!", waiting: "…", restored: "✓" }[state];
        item.append(mark);
      }
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "drop-one";
      remove.dataset.key = `drop ${index}`;
      remove.setAttribute("aria-label", `Remove ${photograph.name}`);
      remove.textContent = "×";
      remove.addEventListener("click", () => drop(photograph));
      item.append(remove);
      return item;
    }),
  );
  if (focused) list.querySelector(`[data-key="${focused}"]`)?.focus();
}
