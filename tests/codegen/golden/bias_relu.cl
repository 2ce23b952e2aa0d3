// model/dense: add
// model/activation: maximum, greater
static inline float max_float(float a, float b) { return a > b || a != a ? a : b; }

__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void activation_add_maximum_greater(
    __global const float *x0,
    __global const float *x1,
    __global float *y0,
    __global uchar *y1,
    const int n,
    const int d1)
{
    int i = (int)get_group_id(0) * 128 + (int)get_local_id(0);
    for (int turn = 0; turn < 2; ++turn, i += 64) {
        if (i < n) {
            const int c1 = i % d1;
            const float x0_ = x0[i];
            const float x1_ = x1[c1];
            const float v0 = x0_ + x1_;  // add
            const float v1 = max_float(v0, 0.0f);  // maximum
            const uchar v2 = v0 > 0.0f;  // greater
            y0[i] = v1;
            y1[i] = v2;
        }
    }
}
