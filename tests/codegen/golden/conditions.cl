// model/mask: greater, isnan, logical_not, logical_and, logical_xor, where, cast
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void mask_greater_isnan_logical_not_logical_and_logical_xor_where_ca(
    __global const float *x0,
    __global const uchar *x1,
    __global uchar *y0,
    __global float *y1,
    __global uchar *y2,
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
            const uchar16 x1_ = vload16(0, x1 + column);
            const uchar16 v0 = convert_uchar16(-(x0_ > (float16)(0.5f)));  // greater
            const uchar16 v1 = convert_uchar16(-(isnan(x0_)));  // isnan
            const uchar16 v2 = convert_uchar16(-(!v1));  // logical_not
            const uchar16 v3 = convert_uchar16(-(v0 && v2));  // logical_and
            const uchar16 v4 = convert_uchar16(-(((v3) != (uchar16)(0)) != ((x1_) != (uchar16)(0))));  // logical_xor
            const float16 v5 = convert_int16(v4 != (uchar16)(0)) ? x0_ : (float16)(0.0f);  // where
            const uchar16 v6 = convert_uchar16(-((v5) != (float16)(0)));  // cast
            vstore16(v4, 0, y0 + first + column);
            vstore16(v5, 0, y1 + first + column);
            vstore16(v6, 0, y2 + first + column);
        }
        for (; column < right; ++column) {
            const float x0_ = x0[first + column];
            const uchar x1_ = x1[column];
            const uchar v0 = x0_ > 0.5f;  // greater
            const uchar v1 = isnan(x0_);  // isnan
            const uchar v2 = !v1;  // logical_not
            const uchar v3 = v0 && v2;  // logical_and
            const uchar v4 = ((v3) != 0) != ((x1_) != 0);  // logical_xor
            const float v5 = v4 ? x0_ : 0.0f;  // where
            const uchar v6 = v5 != 0;  // cast
            y0[first + column] = v4;
            y1[first + column] = v5;
            y2[first + column] = v6;
        }
    }
}
