// graph: abs, max, add
static inline float max_float(float a, float b) { return a > b || a != a ? a : b; }

__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void graph_abs_max_add_parts(
    __global const float *x0,
    const int rows,
    const int n,
    __global float *parts,
    const int share)
{
    const int item = (int)get_local_id(0);
    const int lane = item;
    const int split = (int)get_group_id(0) % 8;
    const int row = (int)get_group_id(0) / 8;
    float acc0 = (-INFINITY);
    float acc1 = (-INFINITY);
    if (row < rows) {
        const int end = split * share + share < n ? split * share + share : n;
        int k = split * share + lane;
        for (; k + 64 < end; k += 128) {
            const int q0_0 = k;
            const float x0_0 = x0[q0_0];
            const float v0_0 = fabs(x0_0);  // abs
            acc0 = max_float(acc0, v0_0);
            const int k_1 = k + 64;
            const int q1_0 = k_1;
            const float x0_1 = x0[q1_0];
            const float v0_1 = fabs(x0_1);  // abs
            acc1 = max_float(acc1, v0_1);
        }
        for (; k < end; k += 64) {
            const int q0_0 = k;
            const float x0_0 = x0[q0_0];
            const float v0_0 = fabs(x0_0);  // abs
            acc0 = max_float(acc0, v0_0);
        }
        acc0 = max_float(acc0, acc1);
    }
    __local float part[64];
    part[item] = acc0;
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 32) part[item] = max_float(part[item], part[item + 32]);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 16) part[item] = max_float(part[item], part[item + 16]);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 8) part[item] = max_float(part[item], part[item + 8]);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 4) part[item] = max_float(part[item], part[item + 4]);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 2) part[item] = max_float(part[item], part[item + 2]);
    barrier(CLK_LOCAL_MEM_FENCE);
    if (lane < 1) part[item] = max_float(part[item], part[item + 1]);
    const float total = part[item];
    if (lane == 0 && row < rows)
        parts[row * 8 + split] = total;
}

// graph: abs, max, add
static inline float max_float(float a, float b) { return a > b || a != a ? a : b; }

__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void graph_abs_max_add_finish(
    __global float *y0,
    __global const float *parts,
    const int rows)
{
    const int row = (int)get_group_id(0) * 64 + (int)get_local_id(0);
    if (row < rows) {
        float total = parts[row * 8];
        for (int split = 1; split < 8; ++split)
            total = max_float(total, parts[row * 8 + split]);
        const float v2 = total + 1e-07f;  // add
        y0[row] = v2;
    }
}
