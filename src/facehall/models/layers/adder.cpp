// The two sums of an adder layer that no library computes fast: the distances of its forward pass, and the gradient with
// respect to its input. Both work on rows that were padded to one width and joined, so that a tap of the window is a
// constant shift of the position and no row has a remainder. Compiled by native.py, called by adder.py, which explains
// the layouts.

#include <cstdint>

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef int32_t Bits __attribute__((vector_size(4 * LANES)));
typedef float Unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

constexpr int WIDTH = 2;   // vectors of positions in a block
constexpr int OUTPUTS = 4; // output channels of a block; with WIDTH, as many sums as fit into the registers
constexpr int INPUTS = 2;  // input channels of a block

static inline Vector load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }
static inline void store(float* to, Vector value) { *reinterpret_cast<Unaligned*>(to) = value; }
static inline Vector fill(float value) { return value - Vector{}; }

static inline Vector magnitude(Vector value) {
    const Bits without_sign = INT32_MAX - Bits{};
    return reinterpret_cast<Vector>(reinterpret_cast<Bits>(value) & without_sign);
}

static inline Vector clip(Vector value) {
    const Vector low = fill(-1.0f), high = fill(1.0f);
    value = value < high ? value : high;
    return value > low ? value : low;
}

extern "C" {

// Positions are computed in blocks of this many.
int64_t facehall_adder_block() { return WIDTH * LANES; }
int64_t facehall_adder_outputs() { return OUTPUTS; }
int64_t facehall_adder_inputs() { return INPUTS; }

// out[b][o][q] = -sum over c, t of |w[o][c][t] - x[b][c][q + shift[t]]|
// x: batch, channels, plane; w: outputs / OUTPUTS, channels, taps, OUTPUTS; out: batch, outputs, positions
void facehall_adder_forward(const float* x, const float* w, float* out, int64_t batch, int64_t channels, int64_t outputs,
                            int64_t plane, int64_t positions, const int64_t* shift, int64_t taps, int64_t threads) {
    constexpr int BLOCK = WIDTH * LANES;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int64_t b = 0; b < batch; ++b) {
        for (int64_t q = 0; q < positions; q += BLOCK) {
            const float* image = x + b * channels * plane + q;
            const float* weight = w;
            for (int64_t o = 0; o < outputs; o += OUTPUTS) {
                Vector sum[OUTPUTS][WIDTH] = {};
                for (int64_t c = 0; c < channels; ++c) {
                    for (int64_t t = 0; t < taps; ++t, weight += OUTPUTS) {
                        const float* from = image + c * plane + shift[t];
                        Vector seen[WIDTH];
                        for (int v = 0; v < WIDTH; ++v) seen[v] = load(from + v * LANES);
                        for (int i = 0; i < OUTPUTS; ++i)
                            for (int v = 0; v < WIDTH; ++v) sum[i][v] -= magnitude(weight[i] - seen[v]);
                    }
                }
                for (int i = 0; i < OUTPUTS; ++i)
                    for (int v = 0; v < WIDTH; ++v)
                        store(out + (b * outputs + o + i) * positions + q + v * LANES, sum[i][v]);
            }
        }
    }
}

// dx[b][c][q] = sum over o, t of clip(w[o][c][t] - x[b][c][q]) g[b][o][q + shift[t]], clipped to [-1, 1]
// x: batch, channels, plane, already moved to its first position; w: channels / INPUTS, outputs, taps, INPUTS
// g: batch, outputs, g_plane; dx: batch, channels, positions
void facehall_adder_input_gradient(const float* x, const float* w, const float* g, float* dx, int64_t batch,
                                   int64_t channels, int64_t outputs, int64_t plane, int64_t g_plane, int64_t positions,
                                   const int64_t* shift, int64_t taps, int64_t threads) {
    constexpr int BLOCK = WIDTH * LANES;
#pragma omp parallel for collapse(2) schedule(static) num_threads(threads)
    for (int64_t b = 0; b < batch; ++b) {
        for (int64_t q = 0; q < positions; q += BLOCK) {
            const float* gradient = g + b * outputs * g_plane + q;
            const float* weight = w;
            for (int64_t c = 0; c < channels; c += INPUTS) {
                Vector seen[INPUTS][WIDTH], sum[INPUTS][WIDTH] = {};
                for (int i = 0; i < INPUTS; ++i)
                    for (int v = 0; v < WIDTH; ++v) seen[i][v] = load(x + (b * channels + c + i) * plane + q + v * LANES);
                for (int64_t o = 0; o < outputs; ++o) {
                    for (int64_t t = 0; t < taps; ++t, weight += INPUTS) {
                        const float* from = gradient + o * g_plane + shift[t];
                        for (int v = 0; v < WIDTH; ++v) {
                            const Vector incoming = load(from + v * LANES);
                            for (int i = 0; i < INPUTS; ++i) sum[i][v] += clip(weight[i] - seen[i][v]) * incoming;
                        }
                    }
                }
                for (int i = 0; i < INPUTS; ++i)
                    for (int v = 0; v < WIDTH; ++v)
                        store(dx + (b * channels + c + i) * positions + q + v * LANES, sum[i][v]);
            }
        }
    }
}
}
