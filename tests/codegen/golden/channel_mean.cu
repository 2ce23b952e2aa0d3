// model/batch_normalization: sum, multiply
extern "C" __global__ __launch_bounds__(64)
void batch_normalization_sum_multiply(
    const float *x0,
    float *y0,
    const int rows,
    const int n,
    const int x0_k0)
{
    const int item = (int)threadIdx.x;
    const int lane = item / 16;
    const int row = (int)blockIdx.x * 16 + item % 16;
    float acc0 = 0.0f;
    if (row < rows) {
        const int c0 = row;
        const int x0_row = c0;
        int k = lane;
        for (; k < n; k += 4) {
            const int q0_0 = k;
            const float x0_0 = x0[x0_row + q0_0 * x0_k0];
            acc0 = acc0 + x0_0;
        }
    }
    __shared__ float part[64];
    part[item] = acc0;
    __syncthreads();
    if (lane < 2) part[item] = part[item] + part[item + 32];
    __syncthreads();
    if (lane < 1) part[item] = part[item] + part[item + 16];
    const float total = part[item];
    if (lane == 0 && row < rows) {
        const float v1 = total * 0.013888889f;  // multiply
        y0[row] = v1;
    }
}
