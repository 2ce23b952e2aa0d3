// model/batch_normalization: sum, multiply
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void batch_normalization_sum_multiply(
    __global const float *x0,
    __global float *y0,
    const int rows,
    const int n,
    const int x0_k0)
{
    const int item = (int)get_local_id(0);
    const int lane = item / 16;
    const int row = (int)get_group_id(0) * 16 + item % 16;
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
    __local float part[64];
    part[item] = acc0;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 2) part[item] = part[item] + part[item + 32];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 1) part[item] = part[item] + part[item + 16];
    const float total = part[item];
    if (lane == 0 && row < rows) {
        const float v1 = total * 0.013888889f;  // multiply
        y0[row] = v1;
    }
}
