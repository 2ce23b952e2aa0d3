// graph: subtract
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void graph_subtract(
    __global const float *x0,
    const long x0_start,
    __global const float *x1,
    const long x1_start,
    __global float *y0,
    const long y0_start,
    const int n,
    const int x0_c1,
    const int x0_c2,
    const int d1,
    const int d2)
{
    x0 += x0_start;
    x1 += x1_start;
    y0 += y0_start;
    const int i = (int)get_group_id(0) * 64 + (int)get_local_id(0);
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
