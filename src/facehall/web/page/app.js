// The page: photographs in, settings, work one after the other, results out.

import { connect, EngineError } from "./engine.js";
import { drawStrip, Photograph } from "./pictures.js";
import "./theme.js";
import { Viewer } from "./viewer.js";
import { distinct, zip } from "./zip.js";

const $ = (id) => document.getElementById(id);
const FORMAT_NAMES = { png: "PNG, lossless", jpg: "JPEG", webp: "WebP" };

let engine;
let photographs = [];
let current = null;
let working = null; // {batch, photograph, controller} while one is restored
let detection = Promise.resolve(); // faces are looked for in one photograph after the other
let archive = null;
let restToo = null; // what the user wants with all that is no face; null: the server decides
const viewer = new Viewer(toggleFace);

// Settings

function showEngine() {
  const { info } = engine;
  $("place").textContent = engine.place;
  $("about").textContent = `facehall ${info.version}, weights ${info.weights}`;
  engine.ready?.then((name) => $("about").append(`, ${name}`)).catch((error) => notice(text(error)));
  $("scales").replaceChildren(
    ...info.scales.map(({ scale }) => scale).sort((a, b) => a - b).map((scale) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      Object.assign(input, { type: "radio", name: "scale", value: scale, checked: scale === info.scales[0].scale });
      label.append(input, `${scale} ×`);
      return label;
    }),
  );
  $("format").replaceChildren(...info.formats.map((format) => new Option(FORMAT_NAMES[format], format)));
  showSettings();
}

function settings() {
  const scale = Number(document.querySelector("[name=scale]:checked").value);
  const { fidelity } = engine.info.scales.find((entry) => entry.scale === scale);
  return { scale, fidelity: fidelity ? Number($("fidelity").value) : undefined, format: $("format").value };
}

function showSettings() {
  const { scale, fidelity } = settings();
  $("background").checked = restToo ?? (scale > 1 && current?.faces?.length === 0); // as the server decides
  $("fidelity-field").hidden = fidelity === undefined;
  if (fidelity !== undefined) $("fidelity").setAttribute("aria-valuetext", `${Math.round(fidelity * 100)} % faithful`);
}

// Photographs

function add(files) {
  const { limits } = engine.info;
  const messages = [];
  for (const file of files) {
    if (file.size > limits.bytes) {
      const [size, limit] = [file.size, limits.bytes].map((bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0));
      messages.push(`${file.name} has ${size} MB; this page takes up to ${limit}.`);
      continue;
    }
    const photograph = new Photograph(file);
    photographs.push(photograph);
    if (engine.info.faces) findFaces(photograph);
  }
  notice(messages.join(" "));
  if (photographs.length) show(photographs.at(-1));
}

function remove(photograph) {
  if (working?.photograph === photograph) working.controller.abort();
  const index = photographs.indexOf(photograph);
  photographs = photographs.filter((other) => other !== photograph);
  photograph.release();
  if (photograph === current) current = photographs[Math.min(index, photographs.length - 1)] ?? null;
  show(current);
}

function show(photograph) {
  current = photograph;
  refresh();
  if (current) viewer.show(current);
}

function findFaces(photograph) {
  detection = detection.then(async () => {
    if (!photographs.includes(photograph)) return;
    try {
      const { width, height, faces } = await engine.faces(photograph.file, { signal: AbortSignal.timeout(600_000) });
      photograph.size ??= { width, height };
      photograph.faces = faces.map((face) => ({ ...face, on: face.restorable }));
    } catch (error) {
      photograph.error = text(error);
    }
    refresh();
    if (photograph === current) viewer.show(photograph);
  });
}

function toggleFace(index) {
  const face = current.faces[index];
  if (!face.restorable) return say(`Face ${index + 1} stays as it is: ${face.note}.`);
  face.on = !face.on;
  refresh();
  viewer.show(current);
}

function setFaces(on) {
  for (const face of current.faces) face.on = on && face.restorable;
  refresh();
  viewer.show(current);
}

function facesText({ faces }) {
  if (!faces) return "Looking for faces …";
  if (!faces.length) return "No face found.";
  const count = (number) => (number === 1 ? "1 face" : `${number} faces`);
  const left = faces.filter((face) => !face.restorable).length;
  const chosen = faces.filter((face) => face.on).length;
  return `${count(faces.length)} found, ${chosen} to be restored${left ? `, ${left} too difficult` : ""}.`;
}

function refresh() {
  document.body.classList.toggle("working", photographs.length > 0);
  $("work").hidden = !current;
  drawStrip($("strip"), photographs, current, show, remove);
  if (!current) return;
  $("faces-field").hidden = $("background-field").hidden = !engine.info.faces;
  $("faces-text").textContent = facesText(current);
  showSettings();
  for (const id of ["faces-all", "faces-none"]) $(id).hidden = !current.faces?.length;
  $("message").hidden = !current.error;
  $("message").textContent = current.error;
  const results = photographs.filter((photograph) => photograph.result);
  $("saves").hidden = !results.length;
  $("download").hidden = !current.result;
  if (current.result) Object.assign($("download"), { href: current.result.url, download: current.resultName });
  $("download-all").hidden = results.length < 2;
  $("restore").disabled = $("restore-all").disabled = Boolean(working);
  $("restore-all").hidden = photographs.length < 2;
  $("cancel").hidden = $("progress").hidden = !working;
}

// Work

async function restore(chosen) {
  const options = settings();
  const rest = restToo;
  const batch = { cancelled: false };
  for (const photograph of chosen) photograph.waiting = true;
  for (const photograph of chosen) {
    if (batch.cancelled || !photographs.includes(photograph)) continue;
    working = { batch, photograph, controller: new AbortController() };
    if (chosen.length > 1) show(photograph);
    await restoreOne(photograph, options, rest, working.controller.signal);
  }
  for (const photograph of chosen) photograph.waiting = false;
  working = null;
  refresh();
  if (document.activeElement === document.body) $("restore").focus();
}

function cancel() {
  if (!working) return;
  working.batch.cancelled = true;
  working.controller.abort();
}

async function restoreOne(photograph, options, rest, signal) {
  photograph.error = "";
  progress({ state: "running", share: 0 });
  refresh();
  const started = performance.now();
  const onProgress = (line) => progress(line, performance.now() - started);
  try {
    const faces = photograph.chosenFaces;
    const wanted = { ...options, faces, background: rest ?? undefined };
    const result = await engine.restore(photograph.file, wanted, { signal, onProgress });
    photograph.setResult({ ...result, scale: options.scale, format: options.format });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    say(`${photograph.name} is restored: ${result.width} by ${result.height} pixels, ${seconds} seconds.`);
  } catch (error) {
    photograph.error = signal.aborted ? "" : text(error);
    if (signal.aborted) say("Cancelled.");
  }
  photograph.waiting = false;
  refresh();
  if (photograph === current) viewer.show(photograph);
}

function progress({ state, share, ahead }, elapsed = 0) {
  if (state === "waiting") {
    $("bar").removeAttribute("value");
    $("progress-text").textContent = ahead > 1 ? `Waiting for ${ahead} other pictures` : "Waiting for another picture";
  } else if (!share) {
    $("bar").removeAttribute("value");
    $("progress-text").textContent = "At work …";
  } else {
    $("bar").value = share;
    const seconds = Math.ceil(((elapsed / 1000) * (1 - share)) / share);
    const left = seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
    $("progress-text").textContent = share < 1 ? `${Math.round(share * 100)} %, about ${left} left` : "Almost done …";
  }
}

function text(error) {
  if (error instanceof EngineError) return error.message;
  console.error(error);
  return `Something unexpected happened (${error.message}). Reload the page and try again.`;
}

function say(message) {
  $("status").textContent = message;
}

function notice(message) {
  $("notice").hidden = !message;
  $("notice").textContent = message;
}

async function downloadAll() {
  const results = photographs.filter((photograph) => photograph.result);
  const names = distinct(results.map((photograph) => photograph.resultName));
  const blob = await zip(results.map((photograph, index) => ({ name: names[index], blob: photograph.result.blob })));
  if (archive) URL.revokeObjectURL(archive);
  archive = URL.createObjectURL(blob);
  const link = document.createElement("a");
  Object.assign(link, { href: archive, download: "facehall.zip" });
  link.click();
}

// Events

function listen() {
  $("files").addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => add([...(event.clipboardData?.files ?? [])]));
  for (const type of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(type, (event) => {
      event.preventDefault();
      document.body.classList.toggle("dragging", type === "dragover");
      if (type === "drop") add([...event.dataTransfer.files]);
    });
  }
  $("panel").addEventListener("input", showSettings);
  $("background").addEventListener("input", () => (restToo = $("background").checked));
  $("scales").addEventListener("input", () => (restToo = null)); // both before showSettings, as events rise
  $("panel").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!working) restore([current]);
  });
  $("restore-all").addEventListener("click", () => restore([...photographs]));
  $("cancel").addEventListener("click", cancel);
  $("faces-all").addEventListener("click", () => setFaces(true));
  $("faces-none").addEventListener("click", () => setFaces(false));
  $("download-all").addEventListener("click", downloadAll);
}

try {
  engine = await connect();
  showEngine();
  listen();
  document.body.dataset.ready = "true";
} catch (error) {
  notice(text(error));
}
