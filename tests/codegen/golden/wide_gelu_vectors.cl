// model/gelu: erf, multiply
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gelu_erf_multiply(
    __global const float *x0,
    __global const float *x1,
    __global float *y0,
    const int columns,
    const int column_share)
{
    const int left = (int)get_group_id(0) * column_share;
    const int right = min(left + column_share, columns);
    int column = left;
    for (; column + 16 <= right; column += 16) {
        const float16 x0_ = vload16(0, x0 + column);
        const float16 x1_ = vload16(0, x1 + column);
        const float16 v0 = erf(x0_);  // erf
        const float16 v1 = v0 * x1_;  // multiply
        vstore16(v1, 0, y0 + column);
    }
    for (; column < right; ++column) {
        const float x0_ = x0[column];
        const float x1_ = x1[column];
        const float v0 = erf(x0_);  // erf
        const float v1 = v0 * x1_;  // multiply
        y0[column] = v1;
    }
}
