// optimizer: multiply, subtract, add
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void optimizer_multiply_subtract_add(
    __global const float *x0,
    __global uchar *base0,
    __global uchar *base1,
    __global const long *table,
    const int segments,
    const int share)
{
    const int group = (int)get_group_id(0);
    int segment = 0;  // the last one that starts at or before this work-group
    for (int above = segments; above - segment > 1;) {
        const int middle = (segment + above) / 2;
        if (table[middle * 12] <= group) segment = middle; else above = middle;
    }
    __global const long *row = table + segment * 12;
    const int n = (int)row[1];
    __global const float *x1 = (__global const float *)((row[2] == 0 ? base0 : base1) + row[3]);
    __global const float *x2 = (__global const float *)((row[4] == 0 ? base0 : base1) + row[5]);
    __global const float *x3 = (__global const float *)((row[6] == 0 ? base0 : base1) + row[7]);
    __global float *y0 = (__global float *)((row[8] == 0 ? base0 : base1) + row[9]);
    __global float *y1 = (__global float *)((row[10] == 0 ? base0 : base1) + row[11]);
    const int left = (int)(group - (long)row[0]) * share;
    const int right = min(left + share, n);
    const float x0_ = x0[0];
    const float16 x0_wide = (float16)(x0_);
    int column = left;
    for (; column + 16 <= right; column += 16) {
        const float16 x1_ = vload16(0, x1 + column);
        const float16 x2_ = vload16(0, x2 + column);
        const float16 x3_ = vload16(0, x3 + column);
        const float16 v0 = x1_ * x0_wide;  // multiply
        const float16 v1 = x2_ - v0;  // subtract
        const float16 v2 = x3_ + v1;  // add
        vstore16(v1, 0, y0 + column);
        vstore16(v2, 0, y1 + column);
    }
    for (; column < right; ++column) {
        const float x1_ = x1[column];
        const float x2_ = x2[column];
        const float x3_ = x3[column];
        const float v0 = x1_ * x0_;  // multiply
        const float v1 = x2_ - v0;  // subtract
        const float v2 = x3_ + v1;  // add
        y0[column] = v1;
        y1[column] = v2;
    }
}
