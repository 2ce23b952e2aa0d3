// model/transpose_layer: transpose
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
    const int d1,
    const int x_d0,
    const int x_d1,
    const int x_row,
    const int y_d0,
    const int y_d1,
    const int y_row,
    const int planes,
    const int plane_share)
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
    const int last = min((part + 1) * plane_share, planes);
    for (int plane = part * plane_share; plane < last; ++plane) {
        const int c1 = plane % d1;
        const int c0 = plane / d1;
        for (int row = top; row < bottom; ++row) {
            __global const uint *from = x + c0 * x_d0 + c1 * x_d1 + row * x_row;
            __global uint *to = y + c0 * y_d0 + c1 * y_d1 + row * y_row;
            int column = left;
            for (; column + 16 <= right; column += 16)
                vstore16(vload16(0, from + column), 0, to + column);
            for (; column < right; ++column)
                to[column] = from[column];
        }
    }
}
