// Restores pictures one after the other, tile by tile, so that memory is bounded and the page stays responsive.

import { enlargeAlpha } from "./alpha.js";
import { Network } from "./network.js";
import { decode, encode, Refusal } from "./picture.js";
import { grid } from "./tiles.js";

/** Input pixels of a tile's side, context included. */
const TILE = 240;

let info;
let network;
let queue = Promise.resolve();
const cancelled = new Set();

addEventListener("message", ({ data }) => {
  if (data.type === "cancel") {
    cancelled.add(data.id);
    return;
  }
  // In the order of arrival: a session runs one picture at a time.
  queue = queue.then(() => answer(data));
});

async function answer(request) {
  const { id, type } = request;
  try {
    const value = type === "start" ? await start(request) : await restore(request);
    postMessage({ id, value });
  } catch (error) {
    if (error instanceof Refusal) postMessage({ id, refusal: error.message });
    else postMessage({ id, failure: String(error?.message ?? error) });
  }
  cancelled.delete(id);
}

async function start(request) {
  info = request.info;
  network = await Network.load(info, request.wish);
  return network.name;
}

async function restore({ id, file, options }) {
  const { scale, fidelity, format } = options;
  const picture = await decode(file, info.limits.pixels, scale);
  const run = await network.session(scale, fidelity ?? 0);
  const { overlap, cell } = info.scales.find((entry) => entry.scale === scale);
  const { width, height, levels } = picture;
  const result = { ...picture, width: width * scale, height: height * scale };
  result.levels = new Uint8ClampedArray(result.width * result.height * 4).fill(255);
  const tiles = grid(width, height, TILE, overlap, cell);
  for (const [index, tile] of tiles.entries()) {
    if (cancelled.has(id)) return null; // nobody waits for it
    postMessage({ id, progress: { state: "running", share: index / tiles.length } });
    const input = planes(levels, width, tile);
    const output = await run(input, tile.outer.width, tile.outer.height);
    paste(output, tile, scale, result);
  }
  if (picture.alpha) enlargeAlpha(levels, width, height, scale, result.levels);
  return { blob: await encode(result, format), width: result.width, height: result.height };
}

/** Cut a tile out of interleaved levels: (3, h, w) in [0, 1]. */
function planes(levels, width, { outer }) {
  const size = outer.width * outer.height;
  const data = new Float32Array(3 * size);
  for (let y = 0, to = 0; y < outer.height; y++) {
    let from = 4 * ((outer.top + y) * width + outer.left);
    for (let x = 0; x < outer.width; x++, to++, from += 4) {
      for (let channel = 0; channel < 3; channel++) data[channel * size + to] = levels[from + channel] / 255;
    }
  }
  return data;
}

/** Write the inner part of a computed tile, (3, s h, s w), into the result. */
function paste(output, { outer, inner }, scale, result) {
  const stride = outer.width * scale;
  const size = stride * outer.height * scale;
  const [left, top] = [inner.left * scale, inner.top * scale];
  for (let y = 0; y < inner.height * scale; y++) {
    let from = ((inner.top - outer.top) * scale + y) * stride + (inner.left - outer.left) * scale;
    let to = 4 * ((top + y) * result.width + left);
    for (let x = 0; x < inner.width * scale; x++, from++, to += 4) {
      let red = clamp(output[from]);
      let green = clamp(output[size + from]);
      let blue = clamp(output[2 * size + from]);
      if (result.grey) red = green = blue = (red + green + blue) / 3;
      result.levels[to] = 255 * red;
      result.levels[to + 1] = 255 * green;
      result.levels[to + 2] = 255 * blue;
    }
  }
}

function clamp(value) {
  return Math.min(1, Math.max(0, value));
}
