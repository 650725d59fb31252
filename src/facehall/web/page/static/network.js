// The network in ONNX Runtime Web: on the GPU where there is WebGPU, else in WebAssembly.

const MAX_THREADS = 4;

export class Network {
  /**
   * Load the runtime.
   * @param info the page's info.json
   * @param {string?} wish "wasm" or "webgpu", to have that one and no other
   */
  static async load(info, wish) {
    const useGpu = Boolean(info.runtime.webgpu) && wish !== "wasm" && (await hasGpu());
    if (wish === "webgpu" && !useGpu) throw new Error("WebGPU is not available in this browser");
    const ort = await import(`./${useGpu ? info.runtime.webgpu : info.runtime.wasm}`);
    // Threads need shared memory, which browsers grant to pages that are served with COOP and COEP headers.
    const threads = self.crossOriginIsolated ? Math.min(MAX_THREADS, navigator.hardwareConcurrency) : 1;
    ort.env.wasm.wasmPaths = new URL("runtime/", import.meta.url).href;
    ort.env.wasm.numThreads = threads;
    ort.env.logLevel = "error";
    const name = useGpu ? "WebGPU" : `WebAssembly, ${threads === 1 ? "1 thread" : `${threads} threads`}`;
    return new Network(info, ort, useGpu ? "webgpu" : "wasm", name);
  }

  constructor(info, ort, provider, name) {
    Object.assign(this, { info, ort, provider, name });
    this.files = new Map();
    this.key = null;
  }

  /**
   * Return a function (planes, width, height) -> planes that runs the network of a scale.
   * @param {number} fidelity interpolates its two weights, from 0 (the first, sharp) to 1 (faithful)
   */
  async session(scale, fidelity) {
    const key = `${scale} ${fidelity}`;
    if (this.key !== key) {
      await this.opened?.release();
      this.key = this.opened = null;
      this.opened = await this.#open(scale, fidelity);
      this.key = key;
    }
    const { opened, ort } = this;
    return async (planes, width, height) => {
      const lr = new ort.Tensor("float32", planes, [1, 3, height, width]);
      const { sr } = await opened.run({ lr });
      const data = await sr.getData();
      sr.dispose();
      return data;
    };
  }

  async #open(scale, fidelity) {
    const { graph, weights } = this.info.scales.find((entry) => entry.scale === scale);
    const [model, sharp] = await Promise.all([this.#fetch(graph), this.#fetch(weights[0])]);
    let data = sharp;
    if (fidelity > 0 && weights.length > 1) {
      const [a, b] = [sharp, await this.#fetch(weights[1])].map((bytes) => new Float32Array(bytes.buffer));
      data = new Uint8Array(Float32Array.from(a, (value, i) => value + fidelity * (b[i] - value)).buffer);
    }
    return this.ort.InferenceSession.create(model, {
      executionProviders: [this.provider],
      externalData: [{ path: "weights.bin", data }],
      logSeverityLevel: 3, // errors; the runtime warns about operators that it keeps on the CPU on purpose
    });
  }

  async #fetch(name) {
    if (!this.files.has(name)) {
      const response = await fetch(name);
      if (!response.ok) throw new Error(`${name} is missing`);
      this.files.set(name, new Uint8Array(await response.arrayBuffer()));
    }
    return this.files.get(name);
  }
}

async function hasGpu() {
  try {
    return Boolean(await navigator.gpu?.requestAdapter());
  } catch {
    return false;
  }
}
