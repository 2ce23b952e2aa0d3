// model/layer_norm_grad_layer: layer_norm_grad
// computed by subtract, multiply, sum
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void layer_norm_grad_layer_layer_norm_grad(
    __global const float *x0,
    const long x0_start,
    __global const float *x1,
    const long x1_start,
    __global const float *x2,
    const long x2_start,
    __global const float *x3,
    const long x3_start,
    __global const float *x4,
    const long x4_start,
    __global float *y0,
    const long y0_start,
    __global float *parts,
    const long parts_start,
    const int rows,
    const int n,
    const int x0_c0,
    const int x4_c0,
    const int y0_c0,
    const int share)
{
    x0 += x0_start;
    x1 += x1_start;
    x2 += x2_start;
    x3 += x3_start;
    x4 += x4_start;
    y0 += y0_start;
    parts += parts_start;
    const int first = (int)get_group_id(0) * share;
    const int end = first + share < rows ? first + share : rows;
    parts += (int)get_group_id(0) * 2 * n;
    __global float *part0 = parts + 0 * n;
    __global float *part1 = parts + 1 * n;
    for (int k = 0; k < n; ++k) { part0[k] = 0; part1[k] = 0; }
    for (int row = first; row < end; ++row) {
        const int x0_row = row * x0_c0;
        const int x4_row = row * x4_c0;
        const int y0_row = row * y0_c0;
        const float x2_ = x2[row];
        const float x3_ = x3[row];
        float v4;  // sum
        float v6;  // sum
        {
            float16 acc4_0 = (float16)(0.0f);
            float16 acc4_1 = (float16)(0.0f);
            float16 acc6_0 = (float16)(0.0f);
            float16 acc6_1 = (float16)(0.0f);
            float rest4 = 0.0f;
            float rest6 = 0.0f;
            int k = 0;
            for (; k + 32 <= n; k += 32) {
                const float16 x0_ = vload16(0, x0 + x0_row + k);
                const float16 x1_ = vload16(0, x1 + k);
                const float16 x4_ = vload16(0, x4 + x4_row + k);
                const float16 v0 = x0_ - x2_;  // subtract
                const float16 v1 = v0 * x3_;  // multiply
                const float16 v2 = x4_ * x1_;  // multiply
                const float16 v3 = v2 * v1;  // multiply
                acc4_0 = acc4_0 + v3;
                acc6_0 = acc6_0 + v2;
                const int k_1 = k + 16;
                const float16 x0__1 = vload16(0, x0 + x0_row + k_1);
                const float16 x1__1 = vload16(0, x1 + k_1);
                const float16 x4__1 = vload16(0, x4 + x4_row + k_1);
                const float16 v0_1 = x0__1 - x2_;  // subtract
                const float16 v1_1 = v0_1 * x3_;  // multiply
                const float16 v2_1 = x4__1 * x1__1;  // multiply
                const float16 v3_1 = v2_1 * v1_1;  // multiply
                acc4_1 = acc4_1 + v3_1;
                acc6_1 = acc6_1 + v2_1;
            }
            for (; k + 16 <= n; k += 16) {
                const float16 x0_ = vload16(0, x0 + x0_row + k);
                const float16 x1_ = vload16(0, x1 + k);
                const float16 x4_ = vload16(0, x4 + x4_row + k);
                const float16 v0 = x0_ - x2_;  // subtract
                const float16 v1 = v0 * x3_;  // multiply
                const float16 v2 = x4_ * x1_;  // multiply
                const float16 v3 = v2 * v1;  // multiply
                acc4_0 = acc4_0 + v3;
                acc6_0 = acc6_0 + v2;
            }
            for (; k < n; ++k) {
                const float x0_ = x0[x0_row + k];
                const float x1_ = x1[k];
                const float x4_ = x4[x4_row + k];
                const float v0 = x0_ - x2_;  // subtract
                const float v1 = v0 * x3_;  // multiply
                const float v2 = x4_ * x1_;  // multiply
                const float v3 = v2 * v1;  // multiply
                rest4 = rest4 + v3;
                rest6 = rest6 + v2;
            }
            const float16 acc4 = acc4_0 + acc4_1;
            const float8 acc4_of_8 = acc4.lo + acc4.hi;
            const float4 acc4_of_4 = acc4_of_8.lo + acc4_of_8.hi;
            const float2 acc4_of_2 = acc4_of_4.lo + acc4_of_4.hi;
            const float acc4_of_1 = acc4_of_2.x + acc4_of_2.y;
            v4 = acc4_of_1 + rest4;
            const float16 acc6 = acc6_0 + acc6_1;
            const float8 acc6_of_8 = acc6.lo + acc6.hi;
            const float4 acc6_of_4 = acc6_of_8.lo + acc6_of_8.hi;
            const float2 acc6_of_2 = acc6_of_4.lo + acc6_of_4.hi;
            const float acc6_of_1 = acc6_of_2.x + acc6_of_2.y;
            v6 = acc6_of_1 + rest6;
        }
        const float v5 = v4 * 0.01f;  // multiply
        const float v7 = v6 * 0.01f;  // multiply
        int k = 0;
        for (; k + 16 <= n; k += 16) {
            const float16 x0_ = vload16(0, x0 + x0_row + k);
            const float16 x1_ = vload16(0, x1 + k);
            const float16 x4_ = vload16(0, x4 + x4_row + k);
            const float16 v0 = x0_ - x2_;  // subtract
            const float16 v1 = v0 * x3_;  // multiply
            const float16 v2 = x4_ * x1_;  // multiply
            const float16 v8 = v2 - v7;  // subtract
            const float16 v9 = v1 * v5;  // multiply
            const float16 v10 = v8 - v9;  // subtract
            const float16 v11 = x3_ * v10;  // multiply
            const float16 v12 = x4_ * v1;  // multiply
            vstore16(vload16(0, part0 + k) + v12, 0, part0 + k);
            vstore16(vload16(0, part1 + k) + x4_, 0, part1 + k);
            vstore16(v11, 0, y0 + y0_row + k);
        }
        for (; k < n; ++k) {
            const float x0_ = x0[x0_row + k];
            const float x1_ = x1[k];
            const float x4_ = x4[x4_row + k];
            const float v0 = x0_ - x2_;  // subtract
            const float v1 = v0 * x3_;  // multiply
            const float v2 = x4_ * x1_;  // multiply
            const float v8 = v2 - v7;  // subtract
            const float v9 = v1 * v5;  // multiply
            const float v10 = v8 - v9;  // subtract
            const float v11 = x3_ * v10;  // multiply
            const float v12 = x4_ * v1;  // multiply
            part0[k] += v12;
            part1[k] += x4_;
            y0[y0_row + k] = v11;
        }
    }
}

// model/layer_norm_grad_layer: layer_norm_grad
// computed by subtract, multiply, sum
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void layer_norm_grad_layer_layer_norm_grad_join(
    __global const float *parts,
    const long parts_start,
    __global float *y1,
    const long y1_start,
    __global float *y2,
    const long y2_start,
    const int n,
    const int groups,
    const int stride)
{
    parts += parts_start;
    y1 += y1_start;
    y2 += y2_start;
    const int k = (int)get_group_id(0) * 64 + (int)get_local_id(0);
    if (k < n) {
        float y1_total = 0;
        for (int group = 0; group < groups; ++group) y1_total += parts[group * stride + 0 * n + k];
        y1[k] = y1_total;
        float y2_total = 0;
        for (int group = 0; group < groups; ++group) y2_total += parts[group * stride + 1 * n + k];
        y2[k] = y2_total;
    }
}
