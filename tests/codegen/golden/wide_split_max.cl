// graph: abs, max, add
static inline float16 max_float16(float16 a, float16 b) { return ((a > b) | (a != a)) ? a : b; }
static inline float8 max_float8(float8 a, float8 b) { return ((a > b) | (a != a)) ? a : b; }
static inline float4 max_float4(float4 a, float4 b) { return ((a > b) | (a != a)) ? a : b; }
static inline float2 max_float2(float2 a, float2 b) { return ((a > b) | (a != a)) ? a : b; }
static inline float max_float(float a, float b) { return a > b || a != a ? a : b; }

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void graph_abs_max_add_parts(
    __global const float *x0,
    __global float *parts,
    const int rows,
    const int share,
    const int n,
    const int n_share)
{
    const int split = (int)get_group_id(0) % 8;
    const int part = (int)get_group_id(0) / 8;
    const int top = part * share;
    const int bottom = min(top + share, rows);
    const int left = min(split * n_share, n);
    const int right = min(left + n_share, n);
    for (int row = top; row < bottom; ++row) {
        float16 acc0 = (float16)((-INFINITY));
        float16 acc1 = (float16)((-INFINITY));
        float rest = (-INFINITY);
        int k = left;
        for (; k + 32 <= right; k += 32) {
            const float16 x0_0 = vload16(0, x0 + k);
            const float16 v0_0 = fabs(x0_0);  // abs
            acc0 = max_float16(acc0, v0_0);
            const float16 x0_1 = vload16(0, x0 + k + 16);
            const float16 v0_1 = fabs(x0_1);  // abs
            acc1 = max_float16(acc1, v0_1);
        }
        for (; k + 16 <= right; k += 16) {
            const float16 x0_0 = vload16(0, x0 + k);
            const float16 v0_0 = fabs(x0_0);  // abs
            acc0 = max_float16(acc0, v0_0);
        }
        for (; k < right; ++k) {
            const float x0_ = x0[k];
            const float v0 = fabs(x0_);  // abs
            rest = max_float(rest, v0);
        }
        acc0 = max_float16(acc0, acc1);
        const float8 half8 = max_float8(acc0.lo, acc0.hi);
        const float4 half4 = max_float4(half8.lo, half8.hi);
        const float2 half2 = max_float2(half4.lo, half4.hi);
        const float total = max_float((max_float(half2.lo, half2.hi)), rest);
        parts[split * rows + row] = total;
    }
}

// graph: abs, max, add
static inline float16 max_float16(float16 a, float16 b) { return ((a > b) | (a != a)) ? a : b; }
static inline float max_float(float a, float b) { return a > b || a != a ? a : b; }

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void graph_abs_max_add_finish(
    __global float *y0,
    __global const float *parts,
    const int rows)
{
    const int top = (int)get_group_id(0) * 256;
    const int bottom = min(top + 256, rows);
    int row = top;
    for (; row + 16 <= bottom; row += 16) {
        float16 total = vload16(0, parts + row);
        for (int split = 1; split < 8; ++split)
            total = max_float16(total, vload16(0, parts + split * rows + row));
        const float16 v2 = total + (float16)(1e-07f);  // add
        vstore16(v2, 0, y0 + row);
    }
    for (; row < bottom; ++row) {
        float total = parts[row];
        for (int split = 1; split < 8; ++split)
            total = max_float(total, parts[split * rows + row]);
        const float v2 = total + 1e-07f;  // add
        y0[row] = v2;
    }
}
