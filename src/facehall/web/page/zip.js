// Zip archives without compression: what they hold here, PNG and JPEG files, has none to gain.

import { crc32 } from "./crc32.js";

const UTF8_NAMES = 0x800;

function record(...fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}

/**
 * Return a zip archive as a Blob.
 * @param {{name: string, blob: Blob}[]} files with different names
 */
export async function zip(files) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, blob } of files) {
    const label = new TextEncoder().encode(name);
    const crc = crc32(new Uint8Array(await blob.arrayBuffer()));
    // version, flags, method, time, date (1 January 1980: the time is nobody's business), checksum, two sizes, lengths
    const common = [[2, 20], [2, UTF8_NAMES], [2, 0], [2, 0], [2, 0x21], [4, crc], [4, blob.size], [4, blob.size]];
    common.push([2, label.length], [2, 0]);
    const local = record([4, 0x04034b50], ...common);
    directory.push(record([4, 0x02014b50], [2, 20], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), label);
    parts.push(local, label, blob);
    offset += local.length + label.length + blob.size;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = files.length;
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, offset], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

/** Return the names with numbers added where one occurs again. */
export function distinct(names) {
  const taken = new Set();
  return names.map((name) => {
    const dot = name.lastIndexOf(".");
    let own = name;
    for (let number = 2; taken.has(own); number++) own = `${name.slice(0, dot)} (${number})${name.slice(dot)}`;
    taken.add(own);
    return own;
  });
}
