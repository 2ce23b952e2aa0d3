// model/matmul_layer: matmul
typedef float16 unaligned_float16 __attribute__((aligned(sizeof(float))));
static inline float16 low(const float16 a, const float16 b) {
    return (float16)(a.s0, b.s0, a.s1, b.s1, a.s2, b.s2, a.s3, b.s3, a.s4, b.s4, a.s5, b.s5, a.s6, b.s6, a.s7, b.s7);
}
static inline float16 high(const float16 a, const float16 b) {
    return (float16)(a.s8, b.s8, a.s9, b.s9, a.sa, b.sa, a.sb, b.sb, a.sc, b.sc, a.sd, b.sd, a.se, b.se, a.sf, b.sf);
}
static inline void transpose(__global float *to, const int to_row,
                             __global const float *from, const int from_row,
                             const int rows, const int columns, const int rest) {
    for (int row = 0; row < rows; row += 16) {
        for (int column = 0; column < columns; column += 16) {
            if ((rows - 1) * from_row + column + 16 > rest) {
                for (int r = row; r < min(row + 16, rows); ++r)
                    for (int c = column; c < min(column + 16, columns); ++c)
                        to[c * to_row + r] = from[r * from_row + c];
                continue;
            }
            const float16 r0 = *(const __global unaligned_float16 *)(from + min(row + 0, rows - 1) * from_row + column);
            const float16 r1 = *(const __global unaligned_float16 *)(from + min(row + 1, rows - 1) * from_row + column);
            const float16 r2 = *(const __global unaligned_float16 *)(from + min(row + 2, rows - 1) * from_row + column);
            const float16 r3 = *(const __global unaligned_float16 *)(from + min(row + 3, rows - 1) * from_row + column);
            const float16 r4 = *(const __global unaligned_float16 *)(from + min(row + 4, rows - 1) * from_row + column);
            const float16 r5 = *(const __global unaligned_float16 *)(from + min(row + 5, rows - 1) * from_row + column);
            const float16 r6 = *(const __global unaligned_float16 *)(from + min(row + 6, rows - 1) * from_row + column);
            const float16 r7 = *(const __global unaligned_float16 *)(from + min(row + 7, rows - 1) * from_row + column);
            const float16 r8 = *(const __global unaligned_float16 *)(from + min(row + 8, rows - 1) * from_row + column);
            const float16 r9 = *(const __global unaligned_float16 *)(from + min(row + 9, rows - 1) * from_row + column);
            const float16 r10 = *(const __global unaligned_float16 *)(from + min(row + 10, rows - 1) * from_row + column);
            const float16 r11 = *(const __global unaligned_float16 *)(from + min(row + 11, rows - 1) * from_row + column);
            const float16 r12 = *(const __global unaligned_float16 *)(from + min(row + 12, rows - 1) * from_row + column);
            const float16 r13 = *(const __global unaligned_float16 *)(from + min(row + 13, rows - 1) * from_row + column);
            const float16 r14 = *(const __global unaligned_float16 *)(from + min(row + 14, rows - 1) * from_row + column);
            const float16 r15 = *(const __global unaligned_float16 *)(from + min(row + 15, rows - 1) * from_row + column);
            const float16 t1_0 = low(r0, r8);
            const float16 t1_1 = high(r0, r8);
            const float16 t1_2 = low(r1, r9);
            const float16 t1_3 = high(r1, r9);
            const float16 t1_4 = low(r2, r10);
            const float16 t1_5 = high(r2, r10);
            const float16 t1_6 = low(r3, r11);
            const float16 t1_7 = high(r3, r11);
            const float16 t1_8 = low(r4, r12);
            const float16 t1_9 = high(r4, r12);
            const float16 t1_10 = low(r5, r13);
            const float16 t1_11 = high(r5, r13);
            const float16 t1_12 = low(r6, r14);
            const float16 t1_13 = high(r6, r14);
            const float16 t1_14 = low(r7, r15);
            const float16 t1_15 = high(r7, r15);
            const float16 t2_0 = low(t1_0, t1_8);
            const float16 t2_1 = high(t1_0, t1_8);
            const float16 t2_2 = low(t1_1, t1_9);
            const float16 t2_3 = high(t1_1, t1_9);
            const float16 t2_4 = low(t1_2, t1_10);
            const float16 t2_5 = high(t1_2, t1_10);
            const float16 t2_6 = low(t1_3, t1_11);
            const float16 t2_7 = high(t1_3, t1_11);
            const float16 t2_8 = low(t1_4, t1_12);
            const float16 t2_9 = high(t1_4, t1_12);
            const float16 t2_10 = low(t1_5, t1_13);
            const float16 t2_11 = high(t1_5, t1_13);
            const float16 t2_12 = low(t1_6, t1_14);
            const float16 t2_13 = high(t1_6, t1_14);
            const float16 t2_14 = low(t1_7, t1_15);
            const float16 t2_15 = high(t1_7, t1_15);
            const float16 t3_0 = low(t2_0, t2_8);
            const float16 t3_1 = high(t2_0, t2_8);
            const float16 t3_2 = low(t2_1, t2_9);
            const float16 t3_3 = high(t2_1, t2_9);
            const float16 t3_4 = low(t2_2, t2_10);
            const float16 t3_5 = high(t2_2, t2_10);
            const float16 t3_6 = low(t2_3, t2_11);
            const float16 t3_7 = high(t2_3, t2_11);
            const float16 t3_8 = low(t2_4, t2_12);
            const float16 t3_9 = high(t2_4, t2_12);
            const float16 t3_10 = low(t2_5, t2_13);
            const float16 t3_11 = high(t2_5, t2_13);
            const float16 t3_12 = low(t2_6, t2_14);
            const float16 t3_13 = high(t2_6, t2_14);
            const float16 t3_14 = low(t2_7, t2_15);
            const float16 t3_15 = high(t2_7, t2_15);
            const float16 t4_0 = low(t3_0, t3_8);
            const float16 t4_1 = high(t3_0, t3_8);
            const float16 t4_2 = low(t3_1, t3_9);
            const float16 t4_3 = high(t3_1, t3_9);
            const float16 t4_4 = low(t3_2, t3_10);
            const float16 t4_5 = high(t3_2, t3_10);
            const float16 t4_6 = low(t3_3, t3_11);
            const float16 t4_7 = high(t3_3, t3_11);
            const float16 t4_8 = low(t3_4, t3_12);
            const float16 t4_9 = high(t3_4, t3_12);
            const float16 t4_10 = low(t3_5, t3_13);
            const float16 t4_11 = high(t3_5, t3_13);
            const float16 t4_12 = low(t3_6, t3_14);
            const float16 t4_13 = high(t3_6, t3_14);
            const float16 t4_14 = low(t3_7, t3_15);
            const float16 t4_15 = high(t3_7, t3_15);
            *(__global unaligned_float16 *)(to + (column + 0) * to_row + row) = t4_0;
            *(__global unaligned_float16 *)(to + (column + 1) * to_row + row) = t4_1;
            *(__global unaligned_float16 *)(to + (column + 2) * to_row + row) = t4_2;
            *(__global unaligned_float16 *)(to + (column + 3) * to_row + row) = t4_3;
            *(__global unaligned_float16 *)(to + (column + 4) * to_row + row) = t4_4;
            *(__global unaligned_float16 *)(to + (column + 5) * to_row + row) = t4_5;
            *(__global unaligned_float16 *)(to + (column + 6) * to_row + row) = t4_6;
            *(__global unaligned_float16 *)(to + (column + 7) * to_row + row) = t4_7;
            *(__global unaligned_float16 *)(to + (column + 8) * to_row + row) = t4_8;
            *(__global unaligned_float16 *)(to + (column + 9) * to_row + row) = t4_9;
            *(__global unaligned_float16 *)(to + (column + 10) * to_row + row) = t4_10;
            *(__global unaligned_float16 *)(to + (column + 11) * to_row + row) = t4_11;
            *(__global unaligned_float16 *)(to + (column + 12) * to_row + row) = t4_12;
            *(__global unaligned_float16 *)(to + (column + 13) * to_row + row) = t4_13;
            *(__global unaligned_float16 *)(to + (column + 14) * to_row + row) = t4_14;
            *(__global unaligned_float16 *)(to + (column + 15) * to_row + row) = t4_15;
        }
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void matmul_layer_matmul_turn(
    __global const float *a,
    const long a_start,
    __global float *turned,
    const long turned_start,
    const int rows,
    const int inner,
    const int turned_row)
{
    a += a_start;
    turned += turned_start;
    const int strips = (rows + 63) / 64;
    const int item = get_group_id(0), items = get_num_groups(0);
    const int last_strip = (int)((long)strips * (item + 1) / items);
    for (int strip = (int)((long)strips * item / items); strip < last_strip; ++strip) {
        const int row = strip * 64;
        const int count = min(64, rows - (int)row);
        const int rest = (int)rows * inner - row;
        transpose(turned + row * turned_row, turned_row, a + row, rows, inner, count, rest);
    }
}

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
        const float16 a0 = (float16)(a[0 * a_row + k]);
        sum0_0 = fma(a0, b0, sum0_0);
        const float16 a1 = (float16)(a[1 * a_row + k]);
        sum1_0 = fma(a1, b0, sum1_0);
        const float16 a2 = (float16)(a[2 * a_row + k]);
        sum2_0 = fma(a2, b0, sum2_0);
        const float16 a3 = (float16)(a[3 * a_row + k]);
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
                multiply_4x32(a + ((int)row * 144 + start), 144, panel, depth, y0, columns, at);
            } else {
                multiply_4x16_edge(a + ((int)row * 144 + start), 144, panel, depth, y0, columns, at);
            }
        }
    }
}
