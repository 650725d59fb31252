// PNG files (ISO/IEC 15948) with exactly the given levels. A canvas would round those of transparent pixels.

import { crc32 } from "./crc32.js";

const PAETH = 4;

/** Return a PNG file of a picture {width, height, levels (RGBA), grey, alpha}. */
export async function png({ width, height, levels, grey, alpha }) {
  const kept = [...(grey ? [0] : [0, 1, 2]), ...(alpha ? [3] : [])];
  const colourType = (grey ? 0 : 2) + (alpha ? 4 : 0);
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, colourType, 0, 0, 0], 8);
  const rows = new Blob([filtered(width, height, levels, kept)]).stream();
  const pixels = await new Response(rows.pipeThrough(new CompressionStream("deflate"))).arrayBuffer();
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const chunks = [chunk("IHDR", header), chunk("IDAT", new Uint8Array(pixels)), chunk("IEND", new Uint8Array())];
  return new Blob([signature, ...chunks.flat()], { type: "image/png" });
}

function filtered(width, height, levels, kept) {
  const channels = kept.length;
  const stride = width * channels;
  const rows = new Uint8Array(height * (stride + 1));
  let above = new Uint8Array(stride);
  let row = new Uint8Array(stride);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, i = 0, from = 4 * y * width; x < width; x++, from += 4) {
      for (const channel of kept) row[i++] = levels[from + channel];
    }
    rows[to++] = PAETH;
    for (let i = 0; i < stride; i++) {
      const left = i < channels ? 0 : row[i - channels];
      const corner = i < channels ? 0 : above[i - channels];
      rows[to++] = row[i] - paeth(left, above[i], corner);
    }
    [above, row] = [row, above];
  }
  return rows;
}

function paeth(left, above, corner) {
  const guess = left + above - corner;
  const [toLeft, toAbove, toCorner] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

function chunk(kind, data) {
  const name = new TextEncoder().encode(kind);
  const ends = new Uint8Array(8);
  const view = new DataView(ends.buffer);
  view.setUint32(0, data.length);
  view.setUint32(4, crc32(name, data));
  return [ends.subarray(0, 4), name, data, ends.subarray(4)];
}
