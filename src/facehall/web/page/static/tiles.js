// Overlapping tiles, as facehall/inference/tiling/tiles.py has them.

/**
 * Divide one axis into tiles with `overlap` pixels of context on the sides that are not a border of the picture; they
 * begin at multiples of `cell`.
 * @returns {{start: number, stop: number, from: number, length: number}[]} `start` to `stop` are kept of the `length`
 *   pixels computed `from` there.
 */
export function spans(length, longest, overlap, cell) {
  if (length <= longest) return [{ start: 0, stop: length, from: 0, length }];
  const count = Math.ceil((length - 2 * overlap) / (longest - 2 * overlap));
  const outer = Math.ceil((length + 2 * overlap * (count - 1)) / count);
  const starts = Array.from({ length: count }, (_, i) => Math.min(i * (outer - 2 * overlap), length - outer));
  const edges = [0, ...starts.slice(1).map((start) => start + overlap), length];
  return starts.map((start, i) => {
    const from = start - (start % cell);
    return { start: edges[i], stop: edges[i + 1], from, length: start + outer - from };
  });
}

/** Return the tiles of a picture: {outer, inner}, each {left, top, width, height} in input pixels. */
export function grid(width, height, side, overlap, cell) {
  const longest = Math.max(side, 4 * overlap); // networks that see far need larger tiles to get anywhere
  return spans(height, longest, overlap, cell).flatMap((row) =>
    spans(width, longest, overlap, cell).map((column) => ({
      outer: { left: column.from, top: row.from, width: column.length, height: row.length },
      inner: { left: column.start, top: row.start, width: column.stop - column.start, height: row.stop - row.start },
    })),
  );
}
