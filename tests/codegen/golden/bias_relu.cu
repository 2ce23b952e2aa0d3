// model/dense: add
// model/activation: maximum, greater
static __device__ __forceinline__ float max_float(float a, float b) { return a > b || a != a ? a : b; }

extern "C" __global__ __launch_bounds__(64)
void activation_add_maximum_greater(
    const float *x0,
    const float *x1,
    float *y0,
    unsigned char *y1,
    const int n,
    const int d1)
{
    int i = (int)blockIdx.x * 128 + (int)threadIdx.x;
    for (int turn = 0; turn < 2; ++turn, i += 64) {
        if (i < n) {
            const int c1 = i % d1;
            const float x0_ = x0[i];
            const float x1_ = x1[c1];
            const float v0 = x0_ + x1_;  // add
            const float v1 = max_float(v0, 0.0f);  // maximum
            const unsigned char v2 = v0 > 0.0f;  // greater
            y0[i] = v1;
            y1[i] = v2;
        }
    }
}
