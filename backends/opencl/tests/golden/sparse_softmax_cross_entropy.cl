// model/sparse_softmax_cross_entropy_layer: sparse_softmax_cross_entropy
// computed by max, isfinite, where, subtract, exp, sum, log, add, reshape, take_along_axis
static inline float max_float(float a, float b) { return a > b || a != a ? a : b; }

__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void sparse_softmax_cross_entropy_layer_sparse_softmax_cross_entropy(
    __global const float *x0,
    const long x0_start,
    __global const int *x1,
    const long x1_start,
    __global float *y0,
    const long y0_start,
    __global float *y1,
    const long y1_start,
    const int rows,
    const int n,
    const int x0_c0)
{
    x0 += x0_start;
    x1 += x1_start;
    y0 += y0_start;
    y1 += y1_start;
    const int row = (int)get_group_id(0) * 64 + (int)get_local_id(0);
    if (row < rows) {
        const int x0_row = row * x0_c0;
        const int x1_ = x1[row];
        const int k10 = (int)x1_;
        const float x0__k10 = x0[x0_row + k10];
        float acc0 = (-INFINITY);
        for (int k = 0; k < n; ++k) {
            const float x0_ = x0[x0_row + k];
            acc0 = max_float(acc0, x0_);
        }
        const float v0 = acc0;  // max
        const uchar v1 = isfinite(v0);  // isfinite
        const float v2 = v1 ? v0 : 0.0f;  // where
        float acc5 = 0.0f;
        for (int k = 0; k < n; ++k) {
            const float x0_ = x0[x0_row + k];
            const float v3 = x0_ - v2;  // subtract
            const float v4 = exp(v3);  // exp
            acc5 = acc5 + v4;
        }
        const float v5 = acc5;  // sum
        const float v6 = log(v5);  // log
        const float v7 = v6 + v2;  // add
        const float v12 = v7 - x0__k10;  // subtract
        y0[row] = v12;
        y1[row] = v7;
    }
}
