// Files to levels and back. Browsers decode to 8 bits a channel and convert colour profiles to sRGB.

import { png } from "./png.js";

const QUALITY = { jpg: ["image/jpeg", 0.95], webp: ["image/webp", 1] };

/** What the person in front of the page can do something about. */
export class Refusal extends Error {}

/**
 * Decode a file: {width, height, levels (RGBA), grey, alpha}.
 * @param {number} limit largest number of pixels of the picture enlarged `scale` times
 */
export async function decode(file, limit, scale) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", premultiplyAlpha: "none" });
  } catch {
    throw new Refusal(`${file.name} is not an image that this browser can read. Choose a PNG, JPEG or WebP file.`);
  }
  const { width, height } = bitmap;
  const pixels = width * height * scale ** 2;
  if (pixels > limit) {
    bitmap.close();
    const [has, most] = [pixels, limit].map((count) => (count / 1e6).toFixed(1));
    throw new Refusal(
      `${file.name} has ${width} x ${height} pixels, and ${has} megapixels when enlarged ${scale} times; this page ` +
        `takes up to ${most}. Choose a smaller scale, or crop or reduce the picture.`,
    );
  }
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const levels = context.getImageData(0, 0, width, height).data;
  let alpha = false;
  for (let i = 3; i < levels.length && !alpha; i += 4) alpha = levels[i] < 255;
  return { width, height, levels, alpha, grey: isGrey(new Uint8Array(await file.arrayBuffer())) };
}

/** Return a file with the levels of a picture. */
export async function encode(picture, format) {
  if (format === "png") return png(picture);
  const [type, quality] = QUALITY[format];
  if (format === "jpg" && picture.alpha) {
    throw new Refusal("The picture has transparency, which JPEG cannot store. Save as PNG or WebP instead.");
  }
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  canvas.getContext("2d").putImageData(new ImageData(picture.levels, picture.width, picture.height), 0, 0);
  const blob = await canvas.convertToBlob({ type, quality });
  if (blob.type !== type) throw new Refusal("This browser cannot write this format. Save as PNG instead.");
  return blob;
}

/** Whether a PNG or JPEG file has a single channel, apart from transparency: the network must not tint it. */
export function isGrey(bytes) {
  if (bytes[0] === 0x89) return bytes[25] === 0 || bytes[25] === 4; // colour type in IHDR
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return false;
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1];
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return bytes[at + 9] === 1; // components in SOF
    at += 2 + 256 * bytes[at + 2] + bytes[at + 3];
  }
  return false;
}
