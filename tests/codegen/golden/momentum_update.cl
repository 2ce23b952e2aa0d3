// optimizer: multiply, subtract, add
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void optimizer_multiply_subtract_add(
    __global const float *x0,
    __global uchar *base0,
    __global uchar *base1,
    __global const long *table,
    const int segments)
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
    int i = (int)(group - (long)row[0]) * 128 + (int)get_local_id(0);
    for (int turn = 0; turn < 2; ++turn, i += 64) {
        if (i < n) {
            const float x0_ = x0[0];
            const float x1_ = x1[i];
            const float x2_ = x2[i];
            const float x3_ = x3[i];
            const float v0 = x1_ * x0_;  // multiply
            const float v1 = x2_ - v0;  // subtract
            const float v2 = x3_ + v1;  // add
            y0[i] = v1;
            y1[i] = v2;
        }
    }
}
