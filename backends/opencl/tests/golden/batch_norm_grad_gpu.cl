// graph: subtract, where, multiply, multiply, sum, sum
__kernel __attribute__((reqd_work_group_size(128, 1, 1)))
void graph_subtract_where_multiply_sum_slices(
    __global const float *x0,
    const long x0_start,
    __global const float *x1,
    const long x1_start,
    __global const uchar *x2,
    const long x2_start,
    __global const float *x3,
    const long x3_start,
    __global const float *x4,
    const long x4_start,
    __global float *parts,
    const long parts_start,
    const int rows,
    const int columns,
    const int share,
    const int blocks,
    const int x0_r0,
    const int x2_r0,
    const int x3_r0,
    const int slices)
{
    x0 += x0_start;
    x1 += x1_start;
    x2 += x2_start;
    x3 += x3_start;
    x4 += x4_start;
    parts += parts_start;
    const int c = (int)get_group_id(0) % blocks * 16 + (int)get_local_id(0) % 16;
    const int slice = (int)get_group_id(0) / blocks * 8 + (int)get_local_id(0) / 16;
    if (c < columns && slice < slices) {
        const int first = slice * share;
        const int end = first + share < rows ? first + share : rows;
        const float x1_c = x1[c];
        const float x4_c = x4[c];
        float acc0 = 0.0f;
        float acc1 = 0.0f;
        for (int row = first; row < end; ++row) {
            const float x0_ = x0[row * x0_r0 + c];
            const uchar x2_ = x2[row * x2_r0 + c];
            const float x3_ = x3[row * x3_r0 + c];
            const float v0 = x0_ - x1_c;  // subtract
            const float v1 = x2_ ? x3_ : 0.0f;  // where
            const float v2 = v0 * x4_c;  // multiply
            const float v3 = v1 * v2;  // multiply
            acc0 = acc0 + v3;
            acc1 = acc1 + v1;
        }
        parts[(slice * 2 + 0) * columns + c] = acc0;
        parts[(slice * 2 + 1) * columns + c] = acc1;
    }
}

// graph: subtract, where, multiply, multiply, sum, sum
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void graph_subtract_where_multiply_sum_join(
    __global const float *parts,
    const long parts_start,
    __global float *y0,
    const long y0_start,
    __global float *y1,
    const long y1_start,
    const int columns,
    const int slices)
{
    parts += parts_start;
    y0 += y0_start;
    y1 += y1_start;
    const int c = (int)get_group_id(0) * 64 + (int)get_local_id(0);
    if (c < columns) {
        float v4 = 0.0f;  // sum
        float v5 = 0.0f;  // sum
        for (int slice = 0; slice < slices; ++slice) {
            v4 = v4 + parts[(slice * 2 + 0) * columns + c];
            v5 = v5 + parts[(slice * 2 + 1) * columns + c];
        }
        y0[c] = v4;
        y1[c] = v5;
    }
}
