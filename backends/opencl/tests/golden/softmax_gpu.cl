// model/softmax_layer: softmax
// computed by max, subtract, exp, sum, divide
static inline float max_float(float a, float b) { return a > b || a != a ? a : b; }

__kernel __attribute__((reqd_work_group_size(128, 1, 1)))
void softmax_layer_softmax(
    __global const float *x0,
    const long x0_start,
    __global float *y0,
    const long y0_start,
    const int rows,
    const int n,
    const int x0_c0,
    const int y0_c0)
{
    x0 += x0_start;
    y0 += y0_start;
    __local float shared0[128];
    __local float shared3[128];
    const int item = (int)get_local_id(0);
    const int lane = item % 32;
    const int slot = item / 32;
    const int own = (int)get_group_id(0) * 4 + slot;
    const int row = own < rows ? own : rows - 1;  // all must reach the barriers
    const int x0_row = row * x0_c0;
    const int y0_row = row * y0_c0;
    float acc0 = (-INFINITY);
    for (int k = lane; k < n; k += 32) {
        const float x0_ = x0[x0_row + k];
        acc0 = max_float(acc0, x0_);
    }
    shared0[item] = acc0;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 16) {
        shared0[item] = max_float(shared0[item], shared0[item + 16]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 8) {
        shared0[item] = max_float(shared0[item], shared0[item + 8]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 4) {
        shared0[item] = max_float(shared0[item], shared0[item + 4]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 2) {
        shared0[item] = max_float(shared0[item], shared0[item + 2]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 1) {
        shared0[item] = max_float(shared0[item], shared0[item + 1]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const float v0 = shared0[slot * 32];  // max
    float acc3 = 0.0f;
    for (int k = lane; k < n; k += 32) {
        const float x0_ = x0[x0_row + k];
        const float v1 = x0_ - v0;  // subtract
        const float v2 = exp(v1);  // exp
        acc3 = acc3 + v2;
    }
    shared3[item] = acc3;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 16) {
        shared3[item] = shared3[item] + shared3[item + 16];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 8) {
        shared3[item] = shared3[item] + shared3[item + 8];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 4) {
        shared3[item] = shared3[item] + shared3[item + 4];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 2) {
        shared3[item] = shared3[item] + shared3[item + 2];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 1) {
        shared3[item] = shared3[item] + shared3[item + 1];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    const float v3 = shared3[slot * 32];  // sum
    if (own < rows) {
        for (int k = lane; k < n; k += 32) {
            const float x0_ = x0[x0_row + k];
            const float v1 = x0_ - v0;  // subtract
            const float v2 = exp(v1);  // exp
            const float v4 = v2 / v3;  // divide
            y0[y0_row + k] = v4;
        }
    }
}
