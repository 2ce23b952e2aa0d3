// graph: subtract
extern "C" __global__ __launch_bounds__(64)
void graph_subtract(
    const float *x0,
    const long long x0_start,
    const float *x1,
    const long long x1_start,
    float *y0,
    const long long y0_start,
    const int n,
    const int x0_c1,
    const int x0_c2,
    const int d1,
    const int d2)
{
    x0 += x0_start;
    x1 += x1_start;
    y0 += y0_start;
    const int i = (int)blockIdx.x * 64 + (int)threadIdx.x;
    if (i < n) {
        const int c2 = i % d2;
        const int c2_ = i / d2;
        const int c1 = c2_ % d1;
        const int c0 = c2_ / d1;
        const float x0_ = x0[c0 + c1 * x0_c1 + c2 * x0_c2];
        const float x1_ = x1[c1];
        const float v0 = x0_ - x1_;  // subtract
        y0[i] = v0;
    }
}
