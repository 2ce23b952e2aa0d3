// model/softmax: subtract, exp, sum
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void softmax_subtract_exp_sum(
    __global const float *x0,
    __global const float *x1,
    __global float *y0,
    __global float *y1,
    const int rows,
    const int share,
    const int n,
    const int x0_c0,
    const int y0_c0)
{
    const int part = (int)get_group_id(0);
    const int top = part * share;
    const int bottom = min(top + share, rows);
    const int left = 0;
    const int right = n;
    for (int row = top; row < bottom; ++row) {
        const float x1_ = x1[row];
        const float16 x1_wide = (float16)(x1_);
        const int x0_row = row * x0_c0;
        const int y0_row = row * y0_c0;
        float16 acc0 = (float16)(0.0f);
        float16 acc1 = (float16)(0.0f);
        float rest = 0.0f;
        int k = left;
        for (; k + 32 <= right; k += 32) {
            const float16 x0_0 = vload16(0, x0 + x0_row + k);
            const float16 v0_0 = x0_0 - x1_wide;  // subtract
            const float16 v1_0 = exp(v0_0);  // exp
            vstore16(v1_0, 0, y0 + y0_row + k);
            acc0 = acc0 + v1_0;
            const float16 x0_1 = vload16(0, x0 + x0_row + k + 16);
            const float16 v0_1 = x0_1 - x1_wide;  // subtract
            const float16 v1_1 = exp(v0_1);  // exp
            vstore16(v1_1, 0, y0 + y0_row + k + 16);
            acc1 = acc1 + v1_1;
        }
        for (; k + 16 <= right; k += 16) {
            const float16 x0_0 = vload16(0, x0 + x0_row + k);
            const float16 v0_0 = x0_0 - x1_wide;  // subtract
            const float16 v1_0 = exp(v0_0);  // exp
            vstore16(v1_0, 0, y0 + y0_row + k);
            acc0 = acc0 + v1_0;
        }
        for (; k < right; ++k) {
            const float x0_ = x0[x0_row + k];
            const float v0 = x0_ - x1_;  // subtract
            const float v1 = exp(v0);  // exp
            y0[y0_row + k] = v1;
            rest = rest + v1;
        }
        acc0 = acc0 + acc1;
        const float8 half8 = acc0.lo + acc0.hi;
        const float4 half4 = half8.lo + half8.hi;
        const float2 half2 = half4.lo + half4.hi;
        const float total = (half2.lo + half2.hi) + rest;
        y1[row] = total;
    }
}
