// model/dense: matmul, add, tanh
// model/dropout: multiply
static inline float16 tanh_float16(float16 a) {
    const float16 u = a * a;
    const float16 top = (((((-1.192535771e-13f * u + 6.483170604e-11f) * u + -2.252616934e-08f) * u + 1.168968945e-05f) * u + 3.153663591e-03f) * u + 1.312814581e-01f) * u + 9.999999985e-01f;
    const float16 bottom = ((2.619354784e-04f * u + 2.469194974e-02f) * u + 4.646147755e-01f) * u + 1.000000000e+00f;
    return fabs(a) > 7.9f ? copysign((float16)(1.0f), a) : a * top / bottom;
}
typedef float16 unaligned_float16 __attribute__((aligned(sizeof(float))));
static inline void copy(__local float *to, const int to_row,
                        __global const float *from, const int from_row,
                        const int rows, const int columns, const int rest) {
    for (int row = 0; row < rows; ++row) {
        for (int column = 0; column < columns; column += 16) {
            if (row * from_row + column + 16 <= rest)
                *(__local unaligned_float16 *)(to + row * to_row + column) = *(const __global unaligned_float16 *)(from + row * from_row + column);
            else
                for (int c = column; c < columns; ++c)
                    to[row * to_row + c] = from[row * from_row + c];
        }
    }
}
static inline void finish(const float *tile, const int height, const int width, __global const float *e0,
                          __global const float *e1, __global float *y0, __global float *y1, const int columns,
                          const int at, const int column) {
    for (int row = 0; row < height; ++row, tile += 32) {
        int lane = 0;
        for (; lane + 16 <= width; lane += 16) {
            const int i = at + row * columns + lane;
            const int c = column + lane;
            const float16 total = *(const __private unaligned_float16 *)(tile + lane);
            const float16 e0_ = vload16(0, e0 + c);
            const float16 e1_ = vload16(0, e1 + i);
            const float16 v1 = total + e0_;  // add
            const float16 v2 = tanh_float16(v1);  // tanh
            const float16 v3 = v2 * e1_;  // multiply
            vstore16(v1, 0, y0 + i);
            vstore16(v3, 0, y1 + i);
        }
    }
}
static inline void multiply_4x32(__global const float *a, const int a_row, const __local float *b, const int depth,
                                 __global float *sum, const int sum_row, const int first, const int last,
                                 __global const float *e0, __global const float *e1, __global float *y0,
                                 __global float *y1, const int columns, const int at, const int column) {
    float16 sum0_0 = (float16)(0);
    float16 sum0_1 = (float16)(0);
    float16 sum1_0 = (float16)(0);
    float16 sum1_1 = (float16)(0);
    float16 sum2_0 = (float16)(0);
    float16 sum2_1 = (float16)(0);
    float16 sum3_0 = (float16)(0);
    float16 sum3_1 = (float16)(0);
    if (!first) {
        sum0_0 = *(const __global unaligned_float16 *)(sum + 0 * sum_row + 0);
        sum0_1 = *(const __global unaligned_float16 *)(sum + 0 * sum_row + 16);
        sum1_0 = *(const __global unaligned_float16 *)(sum + 1 * sum_row + 0);
        sum1_1 = *(const __global unaligned_float16 *)(sum + 1 * sum_row + 16);
        sum2_0 = *(const __global unaligned_float16 *)(sum + 2 * sum_row + 0);
        sum2_1 = *(const __global unaligned_float16 *)(sum + 2 * sum_row + 16);
        sum3_0 = *(const __global unaligned_float16 *)(sum + 3 * sum_row + 0);
        sum3_1 = *(const __global unaligned_float16 *)(sum + 3 * sum_row + 16);
    }
    for (int k = 0; k < depth; ++k) {
        const float16 b0 = *(const __local unaligned_float16 *)(b + k * 32 + 0);
        const float16 b1 = *(const __local unaligned_float16 *)(b + k * 32 + 16);
        const float16 a0 = (float16)(a[0 * a_row + k]);
        sum0_0 = fma(a0, b0, sum0_0);
        sum0_1 = fma(a0, b1, sum0_1);
        const float16 a1 = (float16)(a[1 * a_row + k]);
        sum1_0 = fma(a1, b0, sum1_0);
        sum1_1 = fma(a1, b1, sum1_1);
        const float16 a2 = (float16)(a[2 * a_row + k]);
        sum2_0 = fma(a2, b0, sum2_0);
        sum2_1 = fma(a2, b1, sum2_1);
        const float16 a3 = (float16)(a[3 * a_row + k]);
        sum3_0 = fma(a3, b0, sum3_0);
        sum3_1 = fma(a3, b1, sum3_1);
    }
    if (!last) {
        *(__global unaligned_float16 *)(sum + 0 * sum_row + 0) = sum0_0;
        *(__global unaligned_float16 *)(sum + 0 * sum_row + 16) = sum0_1;
        *(__global unaligned_float16 *)(sum + 1 * sum_row + 0) = sum1_0;
        *(__global unaligned_float16 *)(sum + 1 * sum_row + 16) = sum1_1;
        *(__global unaligned_float16 *)(sum + 2 * sum_row + 0) = sum2_0;
        *(__global unaligned_float16 *)(sum + 2 * sum_row + 16) = sum2_1;
        *(__global unaligned_float16 *)(sum + 3 * sum_row + 0) = sum3_0;
        *(__global unaligned_float16 *)(sum + 3 * sum_row + 16) = sum3_1;
        return;
    }
    float tile[128] __attribute__((aligned(64)));
    *(__private unaligned_float16 *)(tile + 0) = sum0_0;
    *(__private unaligned_float16 *)(tile + 16) = sum0_1;
    *(__private unaligned_float16 *)(tile + 32) = sum1_0;
    *(__private unaligned_float16 *)(tile + 48) = sum1_1;
    *(__private unaligned_float16 *)(tile + 64) = sum2_0;
    *(__private unaligned_float16 *)(tile + 80) = sum2_1;
    *(__private unaligned_float16 *)(tile + 96) = sum3_0;
    *(__private unaligned_float16 *)(tile + 112) = sum3_1;
    finish(tile, 4, 32, e0, e1, y0, y1, columns, at, column);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void dropout_matmul_add_tanh_multiply(
    __global const float *a,
    const long a_start,
    __global const float *b,
    const long b_start,
    __global const float *e0,
    const long e0_start,
    __global const float *e1,
    const long e1_start,
    __global float *y0,
    const long y0_start,
    __global float *y1,
    const long y1_start,
    __global float *sums,
    const long sums_start,
    const int rows,
    const int columns,
    const int inner,
    const int tiles,
    const int row_parts,
    const int column_parts)
{
    a += a_start;
    b += b_start;
    e0 += e0_start;
    e1 += e1_start;
    y0 += y0_start;
    y1 += y1_start;
    sums += sums_start;
    const int item = get_group_id(0);
    const int column_part = item % column_parts;
    const int row_part = item / column_parts % row_parts;
    const int panels = (columns + 31) / 32;
    const int first_panel = (int)((long)panels * column_part / column_parts);
    const int last_panel = (int)((long)panels * (column_part + 1) / column_parts);
    const int first_tile = (int)((long)tiles * row_part / row_parts);
    const int last_tile = (int)((long)tiles * (row_part + 1) / row_parts);
    __local float panel[128 * 32] __attribute__((aligned(64)));
    const int blocks = (inner + 127) / 128;
    for (int block = 0; block < blocks; ++block) {
        const int start = (int)((long)inner * block / blocks);
        const int depth = (int)((long)inner * (block + 1) / blocks) - start;
        const int first = block == 0;
        const int last = block == blocks - 1;
        for (int p = first_panel; p < last_panel; ++p) {
            const int column = p * 32;
            copy(panel, 32, b + ((int)start * columns + column), columns, depth, min(32, columns - column), (int)columns * inner - ((int)start * columns + column));
            for (int tile = first_tile; tile < last_tile; ++tile) {
                const int row = tile * 4;
                const int at = row * columns + column;
                __global float *sum = sums + row * (panels * 32) + column;
                multiply_4x32(a + ((int)row * inner + start), inner, panel, depth, sum, panels * 32, first, last, e0, e1, y0, y1, columns, at, column);
            }
        }
    }
}
