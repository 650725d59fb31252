// The engine of the static page: a worker of this browser restores the pictures.

/** Errors with a message for the person in front of the page. */
export class EngineError extends Error {}

let worker;
let count = 0;
const calls = new Map();

/** Return what the engine offers: {info, place, ready, faces, restore}; `ready` resolves to a name of what computes. */
export async function connect() {
  if (!window.Worker || !window.OffscreenCanvas || !window.CompressionStream) {
    throw new EngineError("This browser is too old for this page. It needs a version of 2023 or newer.");
  }
  const response = await fetch("info.json").catch(() => null);
  if (!response?.ok) {
    throw new EngineError("The page is incomplete, or was opened as a file. Serve its folder: python -m http.server");
  }
  const info = await response.json();
  worker = new Worker("worker.js", { type: "module" });
  worker.addEventListener("message", ({ data }) => answer(data));
  worker.addEventListener("error", () => {
    for (const call of calls.values()) call.reject(new EngineError("The page's worker could not be started."));
    calls.clear();
  });
  const wish = new URLSearchParams(location.search).get("engine");
  const ready = call("start", { info, wish });
  return { info, place: "Photographs stay in this browser.", ready, faces: async () => ({ faces: [] }), restore };
}

/** Restore a picture, see server/engine.js. */
async function restore(file, options, context) {
  return call("restore", { file, options }, context);
}

function call(type, fields, { signal, onProgress } = {}) {
  const id = ++count;
  return new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => {
      if (!calls.delete(id)) return;
      worker.postMessage({ type: "cancel", id });
      reject(signal.reason);
    });
    calls.set(id, { resolve, reject, onProgress });
    worker.postMessage({ type, id, ...fields });
  });
}

function answer({ id, progress, value, refusal, failure }) {
  const call = calls.get(id);
  if (!call) return;
  if (progress) {
    call.onProgress?.(progress);
    return;
  }
  calls.delete(id);
  if (refusal) call.reject(new EngineError(refusal));
  else if (failure) call.reject(new Error(failure));
  else call.resolve(value);
}
