// graph: subtract, where, multiply, multiply, sum, sum
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
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
    const int x3_r0)
{
    x0 += x0_start;
    x1 += x1_start;
    x2 += x2_start;
    x3 += x3_start;
    x4 += x4_start;
    parts += parts_start;
    const int block = (int)get_group_id(0) % blocks;
    const int slice = (int)get_group_id(0) / blocks;
    const int first = slice * share;
    const int end = first + share < rows ? first + share : rows;
    const int c = block * 16;
    const float16 x1_c0 = vload16(0, x1 + c);
    const float16 x4_c0 = vload16(0, x4 + c);
    float16 acc0_0_0 = (float16)(0.0f);
    float16 acc0_0_1 = (float16)(0.0f);
    float16 acc0_0_2 = (float16)(0.0f);
    float16 acc0_0_3 = (float16)(0.0f);
    float16 acc1_0_0 = (float16)(0.0f);
    float16 acc1_0_1 = (float16)(0.0f);
    float16 acc1_0_2 = (float16)(0.0f);
    float16 acc1_0_3 = (float16)(0.0f);
    int row = first;
    for (; row + 4 <= end; row += 4) {
        const float16 x0__0_0 = vload16(0, x0 + row * x0_r0 + c);
        const uchar16 x2__0_0 = vload16(0, x2 + row * x2_r0 + c);
        const float16 x3__0_0 = vload16(0, x3 + row * x3_r0 + c);
        const float16 v0_0_0 = x0__0_0 - x1_c0;  // subtract
        const float16 v1_0_0 = convert_int16(x2__0_0 != (uchar16)(0)) ? x3__0_0 : (float16)(0.0f);  // where
        const float16 v2_0_0 = v0_0_0 * x4_c0;  // multiply
        const float16 v3_0_0 = v1_0_0 * v2_0_0;  // multiply
        acc0_0_0 = acc0_0_0 + v3_0_0;
        acc1_0_0 = acc1_0_0 + v1_0_0;
        const int row_1 = row + 1;
        const float16 x0__0_1 = vload16(0, x0 + row_1 * x0_r0 + c);
        const uchar16 x2__0_1 = vload16(0, x2 + row_1 * x2_r0 + c);
        const float16 x3__0_1 = vload16(0, x3 + row_1 * x3_r0 + c);
        const float16 v0_0_1 = x0__0_1 - x1_c0;  // subtract
        const float16 v1_0_1 = convert_int16(x2__0_1 != (uchar16)(0)) ? x3__0_1 : (float16)(0.0f);  // where
        const float16 v2_0_1 = v0_0_1 * x4_c0;  // multiply
        const float16 v3_0_1 = v1_0_1 * v2_0_1;  // multiply
        acc0_0_1 = acc0_0_1 + v3_0_1;
        acc1_0_1 = acc1_0_1 + v1_0_1;
        const int row_2 = row + 2;
        const float16 x0__0_2 = vload16(0, x0 + row_2 * x0_r0 + c);
        const uchar16 x2__0_2 = vload16(0, x2 + row_2 * x2_r0 + c);
        const float16 x3__0_2 = vload16(0, x3 + row_2 * x3_r0 + c);
        const float16 v0_0_2 = x0__0_2 - x1_c0;  // subtract
        const float16 v1_0_2 = convert_int16(x2__0_2 != (uchar16)(0)) ? x3__0_2 : (float16)(0.0f);  // where
        const float16 v2_0_2 = v0_0_2 * x4_c0;  // multiply
        const float16 v3_0_2 = v1_0_2 * v2_0_2;  // multiply
        acc0_0_2 = acc0_0_2 + v3_0_2;
        acc1_0_2 = acc1_0_2 + v1_0_2;
        const int row_3 = row + 3;
        const float16 x0__0_3 = vload16(0, x0 + row_3 * x0_r0 + c);
        const uchar16 x2__0_3 = vload16(0, x2 + row_3 * x2_r0 + c);
        const float16 x3__0_3 = vload16(0, x3 + row_3 * x3_r0 + c);
        const float16 v0_0_3 = x0__0_3 - x1_c0;  // subtract
        const float16 v1_0_3 = convert_int16(x2__0_3 != (uchar16)(0)) ? x3__0_3 : (float16)(0.0f);  // where
        const float16 v2_0_3 = v0_0_3 * x4_c0;  // multiply
        const float16 v3_0_3 = v1_0_3 * v2_0_3;  // multiply
        acc0_0_3 = acc0_0_3 + v3_0_3;
        acc1_0_3 = acc1_0_3 + v1_0_3;
    }
    for (; row < end; ++row) {
        const float16 x0__0_0 = vload16(0, x0 + row * x0_r0 + c);
        const uchar16 x2__0_0 = vload16(0, x2 + row * x2_r0 + c);
        const float16 x3__0_0 = vload16(0, x3 + row * x3_r0 + c);
        const float16 v0_0_0 = x0__0_0 - x1_c0;  // subtract
        const float16 v1_0_0 = convert_int16(x2__0_0 != (uchar16)(0)) ? x3__0_0 : (float16)(0.0f);  // where
        const float16 v2_0_0 = v0_0_0 * x4_c0;  // multiply
        const float16 v3_0_0 = v1_0_0 * v2_0_0;  // multiply
        acc0_0_0 = acc0_0_0 + v3_0_0;
        acc1_0_0 = acc1_0_0 + v1_0_0;
    }
    acc0_0_0 = acc0_0_0 + acc0_0_2;
    acc0_0_1 = acc0_0_1 + acc0_0_3;
    acc0_0_0 = acc0_0_0 + acc0_0_1;
    vstore16(acc0_0_0, 0, parts + (slice * 2 + 0) * columns + c);
    acc1_0_0 = acc1_0_0 + acc1_0_2;
    acc1_0_1 = acc1_0_1 + acc1_0_3;
    acc1_0_0 = acc1_0_0 + acc1_0_1;
    vstore16(acc1_0_0, 0, parts + (slice * 2 + 1) * columns + c);
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
