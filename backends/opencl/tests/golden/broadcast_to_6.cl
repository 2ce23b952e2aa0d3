// model/broadcast_to_layer: broadcast_to
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void broadcast_to_layer_broadcast_to(
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
    const int y_row)
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
    for (int row = top; row < bottom; ++row) {
        __global const uint *from = x + 0;
        __global uint *to = y + row * y_row;
        int column = left;
        for (; column + 16 <= right; column += 16)
            vstore16(vload16(0, from + column), 0, to + column);
        for (; column < right; ++column)
            to[column] = from[column];
    }
}
