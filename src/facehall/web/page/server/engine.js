// The engine of `facehall serve`: pictures go to the server on this machine, and come back restored.

const MESSAGE_TYPE = "application/octet-stream";

/** Errors with a message for the person in front of the page. */
export class EngineError extends Error {}

/** Return what the engine offers: {info, place, faces, restore}. */
export async function connect() {
  const response = await reach("info.json");
  return { info: await response.json(), place: "Photographs stay on this machine.", faces, restore };
}

/** Find faces: {width, height, faces: [{box, note}]}. */
async function faces(file, { signal }) {
  const { width, height, faces } = await process("faces", file, {}, { signal, onProgress: () => {} });
  return { width, height, faces };
}

/**
 * Restore a picture: {blob, width, height}. Without `background`, the server decides.
 * @param {{scale: number, fidelity?: number, faces?: number[], background?: boolean, format: string}} options
 */
async function restore(file, options, context) {
  const query = { scale: options.scale, format: options.format };
  if (options.fidelity !== undefined) query.fidelity = options.fidelity;
  if (options.faces !== undefined) query.faces = options.faces.join(",") || "none";
  if (options.background !== undefined) query.background = options.background ? "1" : "0";
  const { width, height, type, content } = await process("restore", file, query, context);
  return { blob: new Blob(content, { type }), width, height };
}

async function reach(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new EngineError("facehall serve does not answer. Is it still running?");
  }
  if (response.ok) return response;
  const { message } = await response.json().catch(() => ({}));
  throw new EngineError(message ?? `The server answered ${response.status}.`);
}

/** Send a picture and read the lines about it up to the last one, whose fields and content are returned. */
async function process(path, file, query, { signal, onProgress }) {
  const address = `${path}?${new URLSearchParams({ name: file.name || "picture", ...query })}`;
  const options = { method: "POST", body: file, headers: { "Content-Type": MESSAGE_TYPE }, signal };
  const reader = (await reach(address, options)).body.getReader();
  let rest = new Uint8Array();
  const more = async () => {
    const { value, done } = await reader.read().catch((error) => {
      if (signal.aborted) throw error;
      return { done: true };
    });
    if (done) throw new EngineError("facehall serve ended before the picture was ready. Is it still running?");
    return value;
  };
  for (;;) {
    const end = rest.indexOf(10);
    if (end < 0) {
      const block = await more();
      const joined = new Uint8Array(rest.length + block.length);
      joined.set(rest);
      joined.set(block, rest.length);
      rest = joined;
      continue;
    }
    const line = JSON.parse(new TextDecoder().decode(rest.subarray(0, end)));
    rest = rest.subarray(end + 1);
    if (line.state === "failed") throw new EngineError(line.message);
    if (line.state !== "done") {
      onProgress(line);
      continue;
    }
    const content = [rest];
    let missing = line.bytes - rest.length;
    while (missing > 0) {
      const block = await more();
      content.push(block);
      missing -= block.length;
    }
    reader.cancel();
    return { ...line, content };
  }
}
