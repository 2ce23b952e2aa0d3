// graph: subtract
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void graph_subtract(
    __global const float *x0,
    const long x0_start,
    __global const float *x1,
    const long x1_start,
    __global float *y0,
    const long y0_start,
    const int columns,
    const int column_share,
    const int column_parts,
    const int rows,
    const int row_share,
    const int row_parts,
    const int plane_share,
    const int planes,
    const int x0_step,
    const int x0_column)
{
    x0 += x0_start;
    x1 += x1_start;
    y0 += y0_start;
    const int part = (int)get_group_id(0);
    const int left = part % column_parts * column_share;
    const int right = min(left + column_share, columns);
    const int block = part / column_parts;
    const int top = block % row_parts * row_share;
    const int bottom = min(top + row_share, rows);
    const int first_plane = block / row_parts * plane_share;
    const int last_plane = min(first_plane + plane_share, planes);
    for (int plane = first_plane; plane < last_plane; ++plane) {
        const int c0 = plane;
        for (int row = top; row < bottom; ++row) {
            const int first = (plane * rows + row) * columns;
            const int x0_row = c0 + row * x0_step;
            const float x1_ = x1[row];
            int column = left;
            for (; column < right; ++column) {
                const float x0_ = x0[x0_row + column * x0_column];
                const float v0 = x0_ - x1_;  // subtract
                y0[first + column] = v0;
            }
        }
    }
}
