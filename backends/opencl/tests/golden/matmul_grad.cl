// model/matmul_layer: matmul
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
static inline void multiply_4x32(__global const float *a, const int a_row, const __local float *b, const int depth,
                                 __global float *y0, const int columns, const int at) {
    float16 sum0_0 = (float16)(0);
    float16 sum0_1 = (float16)(0);
    float16 sum1_0 = (float16)(0);
    float16 sum1_1 = (float16)(0);
    float16 sum2_0 = (float16)(0);
    float16 sum2_1 = (float16)(0);
    float16 sum3_0 = (float16)(0);
    float16 sum3_1 = (float16)(0);
    for (int k = 0; k < depth; ++k) {
        const float16 b0 = *(const __local unaligned_float16 *)(b + k * 32 + 0);
        const float16 b1 = *(const __local unaligned_float16 *)(b + k * 32 + 16);
        const float16 a0 = (float16)(a[k * a_row + 0]);
        sum0_0 = fma(a0, b0, sum0_0);
        sum0_1 = fma(a0, b1, sum0_1);
        const float16 a1 = (float16)(a[k * a_row + 1]);
        sum1_0 = fma(a1, b0, sum1_0);
        sum1_1 = fma(a1, b1, sum1_1);
        const float16 a2 = (float16)(a[k * a_row + 2]);
        sum2_0 = fma(a2, b0, sum2_0);
        sum2_1 = fma(a2, b1, sum2_1);
        const float16 a3 = (float16)(a[k * a_row + 3]);
        sum3_0 = fma(a3, b0, sum3_0);
        sum3_1 = fma(a3, b1, sum3_1);
    }
    *(__global unaligned_float16 *)(y0 + at + 0 * columns + 0) = sum0_0;
    *(__global unaligned_float16 *)(y0 + at + 0 * columns + 16) = sum0_1;
    *(__global unaligned_float16 *)(y0 + at + 1 * columns + 0) = sum1_0;
    *(__global unaligned_float16 *)(y0 + at + 1 * columns + 16) = sum1_1;
    *(__global unaligned_float16 *)(y0 + at + 2 * columns + 0) = sum2_0;
    *(__global unaligned_float16 *)(y0 + at + 2 * columns + 16) = sum2_1;
    *(__global unaligned_float16 *)(y0 + at + 3 * columns + 0) = sum3_0;
    *(__global unaligned_float16 *)(y0 + at + 3 * columns + 16) = sum3_1;
}
static inline void multiply_4x16_edge(__global const float *a, const int a_row, const __local float *b,
                                      const int depth, __global float *y0, const int columns, const int at) {
    float16 sum0_0 = (float16)(0);
    float16 sum1_0 = (float16)(0);
    float16 sum2_0 = (float16)(0);
    float16 sum3_0 = (float16)(0);
    for (int k = 0; k < depth; ++k) {
        const float16 b0 = *(const __local unaligned_float16 *)(b + k * 32 + 0);
        const float16 a0 = (float16)(a[k * a_row + 0]);
        sum0_0 = fma(a0, b0, sum0_0);
        const float16 a1 = (float16)(a[k * a_row + 1]);
        sum1_0 = fma(a1, b0, sum1_0);
        const float16 a2 = (float16)(a[k * a_row + 2]);
        sum2_0 = fma(a2, b0, sum2_0);
        const float16 a3 = (float16)(a[k * a_row + 3]);
        sum3_0 = fma(a3, b0, sum3_0);
    }
    *(__global unaligned_float16 *)(y0 + at + 0 * columns + 0) = sum0_0;
    *(__global unaligned_float16 *)(y0 + at + 1 * columns + 0) = sum1_0;
    *(__global unaligned_float16 *)(y0 + at + 2 * columns + 0) = sum2_0;
    *(__global unaligned_float16 *)(y0 + at + 3 * columns + 0) = sum3_0;
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void matmul_layer_matmul(
    __global const float *a,
    const long a_start,
    __global const float *b,
    const long b_start,
    __global float *y0,
    const long y0_start,
    const int rows,
    const int columns,
    const int inner,
    const int tiles,
    const int row_parts,
    const int column_parts)
{
    a += a_start;
    b += b_start;
    y0 += y0_start;
    const int item = get_group_id(0);
    const int column_part = item % column_parts;
    const int row_part = item / column_parts % row_parts;
    const int panels = (columns + 31) / 32;
    const int first_panel = (int)((long)panels * column_part / column_parts);
    const int last_panel = (int)((long)panels * (column_part + 1) / column_parts);
    const int first_tile = (int)((long)tiles * row_part / row_parts);
    const int last_tile = (int)((long)tiles * (row_part + 1) / row_parts);
    __local float panel[128 * 32] __attribute__((aligned(64)));
    const int start = 0;
    const int depth = inner;
    for (int p = first_panel; p < last_panel; ++p) {
        const int column = p * 32;
        copy(panel, 32, b + ((int)start * columns + column), columns, depth, min(32, columns - column), (int)columns * inner - ((int)start * columns + column));
        for (int tile = first_tile; tile < last_tile; ++tile) {
            const int row = tile * 4;
            const int at = row * columns + column;
            if (column + 32 <= columns) {
                multiply_4x32(a + ((int)start * rows + row), rows, panel, depth, y0, columns, at);
            } else {
                multiply_4x16_edge(a + ((int)start * rows + row), rows, panel, depth, y0, columns, at);
            }
        }
    }
}
