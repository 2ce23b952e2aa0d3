// graph: abs, max, add
static __device__ __forceinline__ float max_float(float a, float b) { return a > b || a != a ? a : b; }

extern "C" __global__ __launch_bounds__(64)
void graph_abs_max_add_parts(
    const float *x0,
    const int rows,
    const int n,
    float *parts,
    const int share)
{
    const int item = (int)threadIdx.x;
    const int lane = item;
    const int split = (int)blockIdx.x % 8;
    const int row = (int)blockIdx.x / 8;
    float acc0 = (-__int_as_float(0x7f800000));
    float acc1 = (-__int_as_float(0x7f800000));
    if (row < rows) {
        const int end = split * share + share < n ? split * share + share : n;
        int k = split * share + lane;
        for (; k + 64 < end; k += 128) {
            const int q0_0 = k;
            const float x0_0 = x0[q0_0];
            const float v0_0 = fabsf(x0_0);  // abs
            acc0 = max_float(acc0, v0_0);
            const int k_1 = k + 64;
            const int q1_0 = k_1;
            const float x0_1 = x0[q1_0];
            const float v0_1 = fabsf(x0_1);  // abs
            acc1 = max_float(acc1, v0_1);
        }
        for (; k < end; k += 64) {
            const int q0_0 = k;
            const float x0_0 = x0[q0_0];
            const float v0_0 = fabsf(x0_0);  // abs
            acc0 = max_float(acc0, v0_0);
        }
        acc0 = max_float(acc0, acc1);
    }
    __shared__ float part[64];
    part[item] = acc0;
    __syncthreads();
    if (lane < 32) part[item] = max_float(part[item], part[item + 32]);
    __syncthreads();
    if (lane < 16) part[item] = max_float(part[item], part[item + 16]);
    __syncthreads();
    if (lane < 8) part[item] = max_float(part[item], part[item + 8]);
    __syncthreads();
    if (lane < 4) part[item] = max_float(part[item], part[item + 4]);
    __syncthreads();
    if (lane < 2) part[item] = max_float(part[item], part[item + 2]);
    __syncthreads();
    if (lane < 1) part[item] = max_float(part[item], part[item + 1]);
    const float total = part[item];
    if (lane == 0 && row < rows)
        parts[row * 8 + split] = total;
}

// graph: abs, max, add
static __device__ __forceinline__ float max_float(float a, float b) { return a > b || a != a ? a : b; }

extern "C" __global__ __launch_bounds__(64)
void graph_abs_max_add_finish(
    float *y0,
    const float *parts,
    const int rows)
{
    const int row = (int)blockIdx.x * 64 + (int)threadIdx.x;
    if (row < rows) {
        float total = parts[row * 8];
        for (int split = 1; split < 8; ++split)
            total = max_float(total, parts[row * 8 + split]);
        const float v2 = total + 1e-07f;  // add
        y0[row] = v2;
    }
}
