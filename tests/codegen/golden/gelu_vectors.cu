// model/gelu: erf, multiply
extern "C" __global__ __launch_bounds__(128)
void gelu_erf_multiply(
    const float *x0,
    const float *x1,
    float *y0,
    const int n)
{
    int i = (int)blockIdx.x * 512 + (int)threadIdx.x * 4;
    if (i + 4 <= n) {
        const float4 x0_ = *(const float4 *)(x0 + i);
        const float4 x1_ = *(const float4 *)(x1 + i);
        const float v0_x = erff(x0_.x);  // erf
        const float v1_x = v0_x * x1_.x;  // multiply
        const float v0_y = erff(x0_.y);  // erf
        const float v1_y = v0_y * x1_.y;  // multiply
        const float v0_z = erff(x0_.z);  // erf
        const float v1_z = v0_z * x1_.z;  // multiply
        const float v0_w = erff(x0_.w);  // erf
        const float v1_w = v0_w * x1_.w;  // multiply
        *(float4 *)(y0 + i) = make_float4(v1_x, v1_y, v1_z, v1_w);
    } else {
        for (; i < n; ++i) {
            const float x0_ = x0[i];
            const float x1_ = x1[i];
            const float v0 = erff(x0_);  // erf
            const float v1 = v0 * x1_;  // multiply
            y0[i] = v1;
        }
    }
}
