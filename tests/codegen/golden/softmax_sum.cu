// model/softmax: subtract, exp, sum
extern "C" __global__ __launch_bounds__(64)
void softmax_subtract_exp_sum(
    const float *x0,
    const float *x1,
    float *y0,
    float *y1,
    const int rows,
    const int n,
    const int x0_c0,
    const int y0_c0)
{
    const int item = (int)threadIdx.x;
    const int lane = item % 8;
    const int row = (int)blockIdx.x * 8 + item / 8;
    float acc0 = 0.0f;
    float acc1 = 0.0f;
    if (row < rows) {
        const int c0 = row;
        const int x0_row = c0 * x0_c0;
        const float x1_ = x1[c0];
        const int y0_row = c0 * y0_c0;
        int k = lane;
        for (; k + 8 < n; k += 16) {
            const int q0_0 = k;
            const float x0_0 = x0[x0_row + q0_0];
            const float v0_0 = x0_0 - x1_;  // subtract
            const float v1_0 = expf(v0_0);  // exp
            y0[y0_row + q0_0] = v1_0;
            acc0 = acc0 + v1_0;
            const int k_1 = k + 8;
            const int q1_0 = k_1;
            const float x0_1 = x0[x0_row + q1_0];
            const float v0_1 = x0_1 - x1_;  // subtract
            const float v1_1 = expf(v0_1);  // exp
            y0[y0_row + q1_0] = v1_1;
            acc1 = acc1 + v1_1;
        }
        for (; k < n; k += 8) {
            const int q0_0 = k;
            const float x0_0 = x0[x0_row + q0_0];
            const float v0_0 = x0_0 - x1_;  // subtract
            const float v1_0 = expf(v0_0);  // exp
            y0[y0_row + q0_0] = v1_0;
            acc0 = acc0 + v1_0;
        }
        acc0 = acc0 + acc1;
    }
    __shared__ float part[64];
    part[item] = acc0;
    __syncthreads();
    if (lane < 4) part[item] = part[item] + part[item + 4];
    __syncthreads();
    if (lane < 2) part[item] = part[item] + part[item + 2];
    __syncthreads();
    if (lane < 1) part[item] = part[item] + part[item + 1];
    const float total = part[item];
    if (lane == 0 && row < rows) {
        y1[row] = total;
    }
}
