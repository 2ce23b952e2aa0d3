// model/softmax: subtract, exp, sum
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void softmax_subtract_exp_sum(
    __global const float *x0,
    __global const float *x1,
    __global float *y0,
    __global float *y1,
    const int rows,
    const int n,
    const int x0_c0,
    const int y0_c0)
{
    const int item = (int)get_local_id(0);
    const int lane = item % 8;
    const int row = (int)get_group_id(0) * 8 + item / 8;
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
            const float v1_0 = exp(v0_0);  // exp
            y0[y0_row + q0_0] = v1_0;
            acc0 = acc0 + v1_0;
            const int k_1 = k + 8;
            const int q1_0 = k_1;
            const float x0_1 = x0[x0_row + q1_0];
            const float v0_1 = x0_1 - x1_;  // subtract
            const float v1_1 = exp(v0_1);  // exp
            y0[y0_row + q1_0] = v1_1;
            acc1 = acc1 + v1_1;
        }
        for (; k < n; k += 8) {
            const int q0_0 = k;
            const float x0_0 = x0[x0_row + q0_0];
            const float v0_0 = x0_0 - x1_;  // subtract
            const float v1_0 = exp(v0_0);  // exp
            y0[y0_row + q0_0] = v1_0;
            acc0 = acc0 + v1_0;
        }
        acc0 = acc0 + acc1;
    }
    __local float part[64];
    part[item] = acc0;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 4) part[item] = part[item] + part[item + 4];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 2) part[item] = part[item] + part[item + 2];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 1) part[item] = part[item] + part[item + 1];
    const float total = part[item];
    if (lane == 0 && row < rows) {
        y1[row] = total;
    }
}
