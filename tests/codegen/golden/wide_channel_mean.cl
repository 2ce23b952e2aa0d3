// model/batch_normalization: sum, multiply
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void batch_normalization_sum_multiply(
    __global const float *x0,
    __global float *y0,
    const int columns,
    const int share,
    const int n,
    const int x0_k0)
{
    const int part = (int)get_group_id(0);
    const int left = part * share;
    const int right = min(left + share, columns);
    const int first = 0;
    const int last = n;
    int column = left;
    for (; column + 32 <= right; column += 32) {
        float16 acc0 = (float16)(0.0f);
        float16 acc1 = (float16)(0.0f);
        for (int k = first; k < last; ++k) {
            const float16 x0_0 = vload16(0, x0 + k * x0_k0 + column);
            acc0 = acc0 + x0_0;
            const float16 x0_1 = vload16(0, x0 + k * x0_k0 + column + 16);
            acc1 = acc1 + x0_1;
        }
        {
            const float16 v1 = acc0 * (float16)(0.013888889f);  // multiply
            vstore16(v1, 0, y0 + column);
        }
        {
            const float16 v1 = acc1 * (float16)(0.013888889f);  // multiply
            vstore16(v1, 0, y0 + column + 16);
        }
    }
    for (; column + 16 <= right; column += 16) {
        float16 acc0 = (float16)(0.0f);
        float16 acc1 = (float16)(0.0f);
        int k = first;
        for (; k + 2 <= last; k += 2) {
            const float16 x0_0 = vload16(0, x0 + k * x0_k0 + column);
            acc0 = acc0 + x0_0;
            const float16 x0_1 = vload16(0, x0 + (k + 1) * x0_k0 + column);
            acc1 = acc1 + x0_1;
        }
        for (; k < last; ++k) {
            const float16 x0_0 = vload16(0, x0 + k * x0_k0 + column);
            acc0 = acc0 + x0_0;
        }
        acc0 = acc0 + acc1;
        const float16 v1 = acc0 * (float16)(0.013888889f);  // multiply
        vstore16(v1, 0, y0 + column);
    }
    for (; column < right; ++column) {
        float acc0 = 0.0f;
        float acc1 = 0.0f;
        int k = first;
        for (; k + 2 <= last; k += 2) {
            const float x0_0 = x0[k * x0_k0 + column];
            acc0 = acc0 + x0_0;
            const float x0_1 = x0[(k + 1) * x0_k0 + column];
            acc1 = acc1 + x0_1;
        }
        for (; k < last; ++k) {
            const float x0_0 = x0[k * x0_k0 + column];
            acc0 = acc0 + x0_0;
        }
        acc0 = acc0 + acc1;
        const float v1 = acc0 * 0.013888889f;  // multiply
        y0[column] = v1;
    }
}
