// model/softmax_layer: softmax
// computed by max, subtract, exp, sum, divide
static inline float16 max_float16(float16 a, float16 b) { return a > b || a != a ? a : b; }
static inline float max_float(float a, float b) { return a > b || a != a ? a : b; }
static inline float8 max_float8(float8 a, float8 b) { return a > b || a != a ? a : b; }
static inline float4 max_float4(float4 a, float4 b) { return a > b || a != a ? a : b; }
static inline float2 max_float2(float2 a, float2 b) { return a > b || a != a ? a : b; }

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void softmax_layer_softmax(
    __global const float *x0,
    const long x0_start,
    __global float *y0,
    const long y0_start,
    const int rows,
    const int n,
    const int x0_c0,
    const int y0_c0,
    const int share)
{
    x0 += x0_start;
    y0 += y0_start;
    const int first = (int)get_group_id(0) * share;
    const int end = first + share < rows ? first + share : rows;
    float kept2[128];
    for (int row = first; row < end; ++row) {
        const int x0_row = row * x0_c0;
        const int y0_row = row * y0_c0;
        float v0;  // max
        {
            float16 acc0_0 = (float16)((-INFINITY));
            float16 acc0_1 = (float16)((-INFINITY));
            float rest0 = (-INFINITY);
            int k = 0;
            for (; k + 32 <= n; k += 32) {
                const float16 x0_ = vload16(0, x0 + x0_row + k);
                acc0_0 = max_float16(acc0_0, x0_);
                const int k_1 = k + 16;
                const float16 x0__1 = vload16(0, x0 + x0_row + k_1);
                acc0_1 = max_float16(acc0_1, x0__1);
            }
            for (; k + 16 <= n; k += 16) {
                const float16 x0_ = vload16(0, x0 + x0_row + k);
                acc0_0 = max_float16(acc0_0, x0_);
            }
            for (; k < n; ++k) {
                const float x0_ = x0[x0_row + k];
                rest0 = max_float(rest0, x0_);
            }
            const float16 acc0 = max_float16(acc0_0, acc0_1);
            const float8 acc0_of_8 = max_float8(acc0.lo, acc0.hi);
            const float4 acc0_of_4 = max_float4(acc0_of_8.lo, acc0_of_8.hi);
            const float2 acc0_of_2 = max_float2(acc0_of_4.lo, acc0_of_4.hi);
            const float acc0_of_1 = max_float(acc0_of_2.x, acc0_of_2.y);
            v0 = max_float(acc0_of_1, rest0);
        }
        float v3;  // sum
        {
            float16 acc3_0 = (float16)(0.0f);
            float16 acc3_1 = (float16)(0.0f);
            float rest3 = 0.0f;
            int k = 0;
            for (; k + 32 <= n; k += 32) {
                const float16 x0_ = vload16(0, x0 + x0_row + k);
                const float16 v1 = x0_ - v0;  // subtract
                const float16 v2 = exp(v1);  // exp
                vstore16(v2, 0, kept2 + k);
                acc3_0 = acc3_0 + v2;
                const int k_1 = k + 16;
                const float16 x0__1 = vload16(0, x0 + x0_row + k_1);
                const float16 v1_1 = x0__1 - v0;  // subtract
                const float16 v2_1 = exp(v1_1);  // exp
                vstore16(v2_1, 0, kept2 + k_1);
                acc3_1 = acc3_1 + v2_1;
            }
            for (; k + 16 <= n; k += 16) {
                const float16 x0_ = vload16(0, x0 + x0_row + k);
                const float16 v1 = x0_ - v0;  // subtract
                const float16 v2 = exp(v1);  // exp
                vstore16(v2, 0, kept2 + k);
                acc3_0 = acc3_0 + v2;
            }
            for (; k < n; ++k) {
                const float x0_ = x0[x0_row + k];
                const float v1 = x0_ - v0;  // subtract
                const float v2 = exp(v1);  // exp
                kept2[k] = v2;
                rest3 = rest3 + v2;
            }
            const float16 acc3 = acc3_0 + acc3_1;
            const float8 acc3_of_8 = acc3.lo + acc3.hi;
            const float4 acc3_of_4 = acc3_of_8.lo + acc3_of_8.hi;
            const float2 acc3_of_2 = acc3_of_4.lo + acc3_of_4.hi;
            const float acc3_of_1 = acc3_of_2.x + acc3_of_2.y;
            v3 = acc3_of_1 + rest3;
        }
        int k = 0;
        for (; k + 16 <= n; k += 16) {
            const float16 kept2_ = vload16(0, kept2 + k);
            const float16 v4 = kept2_ / v3;  // divide
            vstore16(v4, 0, y0 + y0_row + k);
        }
        for (; k < n; ++k) {
            const float v4 = kept2[k] / v3;  // divide
            y0[y0_row + k] = v4;
        }
    }
}
