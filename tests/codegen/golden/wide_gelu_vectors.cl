// model/gelu: erf, multiply
static inline float16 erf_float16(float16 a) {
    const float16 u = a * a;
    const float16 top = ((((2.326054906e-06f * u + 2.915809393e-04f) * u + 3.432428490e-03f) * u + 5.181678583e-02f) * u + 1.808583937e-01f) * u + 1.128379162e+00f;
    const float16 bottom = ((((4.125422550e-05f * u + 1.106820908e-03f) * u + 1.430838220e-02f) * u + 1.104605182e-01f) * u + 4.936147563e-01f) * u + 1.000000000e+00f;
    return fabs(a) > 3.6f ? copysign((float16)(1.0f), a) : a * top / bottom;
}
static inline float erf_float(float a) {
    const float u = a * a;
    const float top = ((((2.326054906e-06f * u + 2.915809393e-04f) * u + 3.432428490e-03f) * u + 5.181678583e-02f) * u + 1.808583937e-01f) * u + 1.128379162e+00f;
    const float bottom = ((((4.125422550e-05f * u + 1.106820908e-03f) * u + 1.430838220e-02f) * u + 1.104605182e-01f) * u + 4.936147563e-01f) * u + 1.000000000e+00f;
    return fabs(a) > 3.6f ? copysign((float)(1.0f), a) : a * top / bottom;
}

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
        const float16 v0 = erf_float16(x0_);  // erf
        const float16 v1 = v0 * x1_;  // multiply
        vstore16(v1, 0, y0 + column);
    }
    for (; column < right; ++column) {
        const float x0_ = x0[column];
        const float x1_ = x1[column];
        const float v0 = erf_float(x0_);  // erf
        const float v1 = v0 * x1_;  // multiply
        y0[column] = v1;
    }
}
