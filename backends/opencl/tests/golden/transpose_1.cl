// model/transpose_layer: transpose
static inline void turn_block(__global const uint *from, const long from_step,
                              __global uint *to, const long to_step) {
    // each step takes element (row, column) to row (column % 2, row / 2), column (row % 2, column / 2)
    const uint16 a0 = vload16(0, from + 0 * from_step);
    const uint16 a1 = vload16(0, from + 1 * from_step);
    const uint16 a2 = vload16(0, from + 2 * from_step);
    const uint16 a3 = vload16(0, from + 3 * from_step);
    const uint16 a4 = vload16(0, from + 4 * from_step);
    const uint16 a5 = vload16(0, from + 5 * from_step);
    const uint16 a6 = vload16(0, from + 6 * from_step);
    const uint16 a7 = vload16(0, from + 7 * from_step);
    const uint16 a8 = vload16(0, from + 8 * from_step);
    const uint16 a9 = vload16(0, from + 9 * from_step);
    const uint16 a10 = vload16(0, from + 10 * from_step);
    const uint16 a11 = vload16(0, from + 11 * from_step);
    const uint16 a12 = vload16(0, from + 12 * from_step);
    const uint16 a13 = vload16(0, from + 13 * from_step);
    const uint16 a14 = vload16(0, from + 14 * from_step);
    const uint16 a15 = vload16(0, from + 15 * from_step);
    const uint16 b0 = (uint16)(a0.even, a1.even);
    const uint16 b1 = (uint16)(a2.even, a3.even);
    const uint16 b2 = (uint16)(a4.even, a5.even);
    const uint16 b3 = (uint16)(a6.even, a7.even);
    const uint16 b4 = (uint16)(a8.even, a9.even);
    const uint16 b5 = (uint16)(a10.even, a11.even);
    const uint16 b6 = (uint16)(a12.even, a13.even);
    const uint16 b7 = (uint16)(a14.even, a15.even);
    const uint16 b8 = (uint16)(a0.odd, a1.odd);
    const uint16 b9 = (uint16)(a2.odd, a3.odd);
    const uint16 b10 = (uint16)(a4.odd, a5.odd);
    const uint16 b11 = (uint16)(a6.odd, a7.odd);
    const uint16 b12 = (uint16)(a8.odd, a9.odd);
    const uint16 b13 = (uint16)(a10.odd, a11.odd);
    const uint16 b14 = (uint16)(a12.odd, a13.odd);
    const uint16 b15 = (uint16)(a14.odd, a15.odd);
    const uint16 c0 = (uint16)(b0.even, b1.even);
    const uint16 c1 = (uint16)(b2.even, b3.even);
    const uint16 c2 = (uint16)(b4.even, b5.even);
    const uint16 c3 = (uint16)(b6.even, b7.even);
    const uint16 c4 = (uint16)(b8.even, b9.even);
    const uint16 c5 = (uint16)(b10.even, b11.even);
    const uint16 c6 = (uint16)(b12.even, b13.even);
    const uint16 c7 = (uint16)(b14.even, b15.even);
    const uint16 c8 = (uint16)(b0.odd, b1.odd);
    const uint16 c9 = (uint16)(b2.odd, b3.odd);
    const uint16 c10 = (uint16)(b4.odd, b5.odd);
    const uint16 c11 = (uint16)(b6.odd, b7.odd);
    const uint16 c12 = (uint16)(b8.odd, b9.odd);
    const uint16 c13 = (uint16)(b10.odd, b11.odd);
    const uint16 c14 = (uint16)(b12.odd, b13.odd);
    const uint16 c15 = (uint16)(b14.odd, b15.odd);
    const uint16 d0 = (uint16)(c0.even, c1.even);
    const uint16 d1 = (uint16)(c2.even, c3.even);
    const uint16 d2 = (uint16)(c4.even, c5.even);
    const uint16 d3 = (uint16)(c6.even, c7.even);
    const uint16 d4 = (uint16)(c8.even, c9.even);
    const uint16 d5 = (uint16)(c10.even, c11.even);
    const uint16 d6 = (uint16)(c12.even, c13.even);
    const uint16 d7 = (uint16)(c14.even, c15.even);
    const uint16 d8 = (uint16)(c0.odd, c1.odd);
    const uint16 d9 = (uint16)(c2.odd, c3.odd);
    const uint16 d10 = (uint16)(c4.odd, c5.odd);
    const uint16 d11 = (uint16)(c6.odd, c7.odd);
    const uint16 d12 = (uint16)(c8.odd, c9.odd);
    const uint16 d13 = (uint16)(c10.odd, c11.odd);
    const uint16 d14 = (uint16)(c12.odd, c13.odd);
    const uint16 d15 = (uint16)(c14.odd, c15.odd);
    const uint16 e0 = (uint16)(d0.even, d1.even);
    const uint16 e1 = (uint16)(d2.even, d3.even);
    const uint16 e2 = (uint16)(d4.even, d5.even);
    const uint16 e3 = (uint16)(d6.even, d7.even);
    const uint16 e4 = (uint16)(d8.even, d9.even);
    const uint16 e5 = (uint16)(d10.even, d11.even);
    const uint16 e6 = (uint16)(d12.even, d13.even);
    const uint16 e7 = (uint16)(d14.even, d15.even);
    const uint16 e8 = (uint16)(d0.odd, d1.odd);
    const uint16 e9 = (uint16)(d2.odd, d3.odd);
    const uint16 e10 = (uint16)(d4.odd, d5.odd);
    const uint16 e11 = (uint16)(d6.odd, d7.odd);
    const uint16 e12 = (uint16)(d8.odd, d9.odd);
    const uint16 e13 = (uint16)(d10.odd, d11.odd);
    const uint16 e14 = (uint16)(d12.odd, d13.odd);
    const uint16 e15 = (uint16)(d14.odd, d15.odd);
    vstore16(e0, 0, to + 0 * to_step);
    vstore16(e1, 0, to + 1 * to_step);
    vstore16(e2, 0, to + 2 * to_step);
    vstore16(e3, 0, to + 3 * to_step);
    vstore16(e4, 0, to + 4 * to_step);
    vstore16(e5, 0, to + 5 * to_step);
    vstore16(e6, 0, to + 6 * to_step);
    vstore16(e7, 0, to + 7 * to_step);
    vstore16(e8, 0, to + 8 * to_step);
    vstore16(e9, 0, to + 9 * to_step);
    vstore16(e10, 0, to + 10 * to_step);
    vstore16(e11, 0, to + 11 * to_step);
    vstore16(e12, 0, to + 12 * to_step);
    vstore16(e13, 0, to + 13 * to_step);
    vstore16(e14, 0, to + 14 * to_step);
    vstore16(e15, 0, to + 15 * to_step);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void transpose_layer_transpose(
    __global const uint *x,
    const long x_start,
    __global uint *y,
    const long y_start,
    const int columns,
    const int column_share,
    const int column_parts,
    const int rows,
    const int row_share,
    const int row_parts,
    const int y_row,
    const int x_column)
{
    x += x_start;
    y += y_start;
    int part = (int)get_group_id(0);
    const int left = part % column_parts * column_share;
    const int right = min(left + column_share, columns);
    part /= column_parts;
    const int top = part % row_parts * row_share;
    const int bottom = min(top + row_share, rows);
    part /= row_parts;
    int row = top;
    for (; row + 16 <= bottom; row += 16) {
        int column = left;
        for (; column + 16 <= right; column += 16)
            turn_block(x + row + column * x_column, x_column, y + row * y_row + column, y_row);
        for (; column < right; ++column)
            for (int step = 0; step < 16; ++step)
                y[row * y_row + column + step * y_row] = x[row + column * x_column + step];
    }
    for (; row < bottom; ++row) {
        __global const uint *from = x + row;
        __global uint *to = y + row * y_row;
        for (int column = left; column < right; ++column)
            to[column] = from[column * x_column];
    }
}
