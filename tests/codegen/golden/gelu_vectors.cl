// model/gelu: erf, multiply
static inline float erf_float(float a) {
    const float u = a * a;
    const float top = ((((2.326054906e-06f * u + 2.915809393e-04f) * u + 3.432428490e-03f) * u + 5.181678583e-02f) * u + 1.808583937e-01f) * u + 1.128379162e+00f;
    const float bottom = ((((4.125422550e-05f * u + 1.106820908e-03f) * u + 1.430838220e-02f) * u + 1.104605182e-01f) * u + 4.936147563e-01f) * u + 1.000000000e+00f;
    return fabs(a) > 3.6f ? copysign((float)(1.0f), a) : a * top / bottom;
}

__kernel __attribute__((reqd_work_group_size(128, 1, 1)))
void gelu_erf_multiply(
    __global const float *x0,
    __global const float *x1,
    __global float *y0,
    const int n)
{
    int i = (int)get_group_id(0) * 512 + (int)get_local_id(0) * 4;
    if (i + 4 <= n) {
        const float4 x0_ = vload4(0, x0 + i);
        const float4 x1_ = vload4(0, x1 + i);
        const float v0_x = erf_float(x0_.x);  // erf
        const float v1_x = v0_x * x1_.x;  // multiply
        const float v0_y = erf_float(x0_.y);  // erf
        const float v1_y = v0_y * x1_.y;  // multiply
        const float v0_z = erf_float(x0_.z);  // erf
        const float v1_z = v0_z * x1_.z;  // multiply
        const float v0_w = erf_float(x0_.w);  // erf
        const float v1_w = v0_w * x1_.w;  // multiply
        vstore4((float4)(v1_x, v1_y, v1_z, v1_w), 0, y0 + i);
    } else {
        for (; i < n; ++i) {
            const float x0_ = x0[i];
            const float x1_ = x1[i];
            const float v0 = erf_float(x0_);  // erf
            const float v1 = v0 * x1_;  // multiply
            y0[i] = v1;
        }
    }
}
