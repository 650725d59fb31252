// Transparency is enlarged by bicubic interpolation (Keys, a = -0.5, mirrored at the borders), not by the network.

function kernel(x) {
  const d = Math.abs(x);
  if (d <= 1) return (1.5 * d - 2.5) * d * d + 1;
  return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}

function enlargeLines(values, count, length, scale, step, lineStep) {
  const result = new Float32Array(values.length * scale);
  const long = length * scale;
  for (let i = 0; i < long; i++) {
    const centre = (i + 0.5) / scale - 0.5;
    const first = Math.floor(centre) - 1;
    const taps = [0, 1, 2, 3].map((tap) => {
      const phase = ((((first + tap) % (2 * length)) + 2 * length) % (2 * length)) | 0;
      return [phase < length ? phase : 2 * length - 1 - phase, kernel(centre - first - tap)];
    });
    for (let line = 0; line < count; line++) {
      let sum = 0;
      for (const [index, weight] of taps) sum += weight * values[line * lineStep[0] + index * step[0]];
      result[line * lineStep[1] + i * step[1]] = sum;
    }
  }
  return result;
}

/** Enlarge the alpha channel of RGBA `levels` into that of `result`, both interleaved. */
export function enlargeAlpha(levels, width, height, scale, result) {
  const alpha = Float32Array.from({ length: width * height }, (_, i) => levels[4 * i + 3]);
  const long = width * scale;
  const wide = enlargeLines(alpha, height, width, scale, [1, 1], [width, long]);
  const full = enlargeLines(wide, long, height, scale, [long, long], [1, 1]);
  for (let i = 0; i < full.length; i++) result[4 * i + 3] = full[i];
}
