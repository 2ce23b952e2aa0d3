// model/dense: add
// model/activation: maximum, greater
static inline float16 max_float16(float16 a, float16 b) { return ((a > b) | (a != a)) ? a : b; }
static inline float max_float(float a, float b) { return a > b || a != a ? a : b; }

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void activation_add_maximum_greater(
    __global const float *x0,
    __global const float *x1,
    __global float *y0,
    __global uchar *y1,
    const int columns,
    const int column_share,
    const int column_parts,
    const int rows,
    const int row_share)
{
    const int part = (int)get_group_id(0);
    const int left = part % column_parts * column_share;
    const int right = min(left + column_share, columns);
    const int top = part / column_parts * row_share;
    const int bottom = min(top + row_share, rows);
    for (int row = top; row < bottom; ++row) {
        const int first = row * columns;
        int column = left;
        for (; column + 16 <= right; column += 16) {
            const float16 x0_ = vload16(0, x0 + first + column);
            const float16 x1_ = vload16(0, x1 + column);
            const float16 v0 = x0_ + x1_;  // add
            const float16 v1 = max_float16(v0, (float16)(0.0f));  // maximum
            const uchar16 v2 = convert_uchar16(-(v0 > (float16)(0.0f)));  // greater
            vstore16(v1, 0, y0 + first + column);
            vstore16(v2, 0, y1 + first + column);
        }
        for (; column < right; ++column) {
            const float x0_ = x0[first + column];
            const float x1_ = x1[column];
            const float v0 = x0_ + x1_;  // add
            const float v1 = max_float(v0, 0.0f);  // maximum
            const uchar v2 = v0 > 0.0f;  // greater
            y0[first + column] = v1;
            y1[first + column] = v2;
        }
    }
}
