// model/dense: matmul, add, tanh
// model/dropout: multiply
static inline float tanh_float(float a) {
    const float u = a * a;
    const float top = (((((-1.192535771e-13f * u + 6.483170604e-11f) * u + -2.252616934e-08f) * u + 1.168968945e-05f) * u + 3.153663591e-03f) * u + 1.312814581e-01f) * u + 9.999999985e-01f;
    const float bottom = ((2.619354784e-04f * u + 2.469194974e-02f) * u + 4.646147755e-01f) * u + 1.000000000e+00f;
    return fabs(a) > 7.9f ? copysign((float)(1.0f), a) : a * top / bottom;
}
static inline void finish(const float total, const int i, const int c, __global const float *e0, __global const float *e1, __global float *y0, __global float *y1) {
    const float e0_ = e0[c];
    const float e1_ = e1[i];
    const float v1 = total + e0_;  // add
    const float v2 = tanh_float(v1);  // tanh
    const float v3 = v2 * e1_;  // multiply
    y0[i] = v1;
    y1[i] = v3;
}

__kernel __attribute__((reqd_work_group_size(256, 1, 1)))
void dropout_matmul_add_tanh_multiply(
    __global const float *a,
    const long a_start,
    __global const float *b,
    const long b_start,
    __global const float *e0,
    const long e0_start,
    __global const float *e1,
    const long e1_start,
    __global float *y0,
    const long y0_start,
    __global float *y1,
    const long y1_start,
    const int rows,
    const int columns,
    const int inner)
{
    a += a_start;
    b += b_start;
    e0 += e0_start;
    e1 += e1_start;
    y0 += y0_start;
    y1 += y1_start;
    __local float left[16 * 65];
    __local float right[16 * 65];
    const int group = get_group_id(0);
    const int lane = get_local_id(0);
    const int down = lane / 16, across = lane % 16;
    const int panels = (columns + 63) / 64;
    const int tiles = (rows + 63) / 64;
    const int column = group % panels * 64;
    const int row = group / panels % tiles * 64;
    float sum0_0 = (float)0;
    float sum0_1 = (float)0;
    float sum0_2 = (float)0;
    float sum0_3 = (float)0;
    float sum1_0 = (float)0;
    float sum1_1 = (float)0;
    float sum1_2 = (float)0;
    float sum1_3 = (float)0;
    float sum2_0 = (float)0;
    float sum2_1 = (float)0;
    float sum2_2 = (float)0;
    float sum2_3 = (float)0;
    float sum3_0 = (float)0;
    float sum3_1 = (float)0;
    float sum3_2 = (float)0;
    float sum3_3 = (float)0;
    for (int start = 0; start < inner; start += 16) {
        for (int n = lane; n < 1024; n += 256) {
            const int k = n % 16, other = n / 16;
            left[k * 65 + other] = start + k < inner && row + other < rows ? a[(row + other) * inner + start + k] : 0;
        }
        for (int n = lane; n < 1024; n += 256) {
            const int k = n / 64, other = n % 64;
            right[k * 65 + other] = start + k < inner && column + other < columns ? b[(start + k) * columns + column + other] : 0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < 16; ++k) {
            const float a0 = left[k * 65 + down + 0];
            const float a1 = left[k * 65 + down + 16];
            const float a2 = left[k * 65 + down + 32];
            const float a3 = left[k * 65 + down + 48];
            const float b0 = right[k * 65 + across + 0];
            const float b1 = right[k * 65 + across + 16];
            const float b2 = right[k * 65 + across + 32];
            const float b3 = right[k * 65 + across + 48];
            sum0_0 = fma(a0, b0, sum0_0);
            sum0_1 = fma(a0, b1, sum0_1);
            sum0_2 = fma(a0, b2, sum0_2);
            sum0_3 = fma(a0, b3, sum0_3);
            sum1_0 = fma(a1, b0, sum1_0);
            sum1_1 = fma(a1, b1, sum1_1);
            sum1_2 = fma(a1, b2, sum1_2);
            sum1_3 = fma(a1, b3, sum1_3);
            sum2_0 = fma(a2, b0, sum2_0);
            sum2_1 = fma(a2, b1, sum2_1);
            sum2_2 = fma(a2, b2, sum2_2);
            sum2_3 = fma(a2, b3, sum2_3);
            sum3_0 = fma(a3, b0, sum3_0);
            sum3_1 = fma(a3, b1, sum3_1);
            sum3_2 = fma(a3, b2, sum3_2);
            sum3_3 = fma(a3, b3, sum3_3);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (row + down + 0 < rows) {
        const int at = (row + down + 0) * columns;
        if (column + across + 0 < columns)
            finish(sum0_0, at + column + across + 0, column + across + 0, e0, e1, y0, y1);
        if (column + across + 16 < columns)
            finish(sum0_1, at + column + across + 16, column + across + 16, e0, e1, y0, y1);
        if (column + across + 32 < columns)
            finish(sum0_2, at + column + across + 32, column + across + 32, e0, e1, y0, y1);
        if (column + across + 48 < columns)
            finish(sum0_3, at + column + across + 48, column + across + 48, e0, e1, y0, y1);
    }
    if (row + down + 16 < rows) {
        const int at = (row + down + 16) * columns;
        if (column + across + 0 < columns)
            finish(sum1_0, at + column + across + 0, column + across + 0, e0, e1, y0, y1);
        if (column + across + 16 < columns)
            finish(sum1_1, at + column + across + 16, column + across + 16, e0, e1, y0, y1);
        if (column + across + 32 < columns)
            finish(sum1_2, at + column + across + 32, column + across + 32, e0, e1, y0, y1);
        if (column + across + 48 < columns)
            finish(sum1_3, at + column + across + 48, column + across + 48, e0, e1, y0, y1);
    }
    if (row + down + 32 < rows) {
        const int at = (row + down + 32) * columns;
        if (column + across + 0 < columns)
            finish(sum2_0, at + column + across + 0, column + across + 0, e0, e1, y0, y1);
        if (column + across + 16 < columns)
            finish(sum2_1, at + column + across + 16, column + across + 16, e0, e1, y0, y1);
        if (column + across + 32 < columns)
            finish(sum2_2, at + column + across + 32, column + across + 32, e0, e1, y0, y1);
        if (column + across + 48 < columns)
            finish(sum2_3, at + column + across + 48, column + across + 48, e0, e1, y0, y1);
    }
    if (row + down + 48 < rows) {
        const int at = (row + down + 48) * columns;
        if (column + across + 0 < columns)
            finish(sum3_0, at + column + across + 0, column + across + 0, e0, e1, y0, y1);
        if (column + across + 16 < columns)
            finish(sum3_1, at + column + across + 16, column + across + 16, e0, e1, y0, y1);
        if (column + across + 32 < columns)
            finish(sum3_2, at + column + across + 32, column + across + 32, e0, e1, y0, y1);
        if (column + across + 48 < columns)
            finish(sum3_3, at + column + across + 48, column + across + 48, e0, e1, y0, y1);
    }
}
