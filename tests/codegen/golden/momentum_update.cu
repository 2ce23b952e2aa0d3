// optimizer: multiply, subtract, add
extern "C" __global__ __launch_bounds__(64)
void optimizer_multiply_subtract_add(
    const float *x0,
    const long long *table,
    const int segments)
{
    const int group = (int)blockIdx.x;
    int segment = 0;  // the last one that starts at or before this work-group
    for (int above = segments; above - segment > 1;) {
        const int middle = (segment + above) / 2;
        if (table[middle * 7] <= group) segment = middle; else above = middle;
    }
    const long long *row = table + segment * 7;
    const int n = (int)row[1];
    const float *x1 = (const float *)row[2];
    const float *x2 = (const float *)row[3];
    const float *x3 = (const float *)row[4];
    float *y0 = (float *)row[5];
    float *y1 = (float *)row[6];
    int i = (int)(group - (long long)row[0]) * 128 + (int)threadIdx.x;
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
