// model/max_pool_grad_layer: max_pool_grad
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void max_pool_grad_layer_max_pool_grad(
    __global const int *offsets,
    const long offsets_start,
    __global const float *g,
    const long g_start,
    __global float *dx,
    const long dx_start,
    const int channels,
    const int m1,
    const int m2,
    const int n2,
    const int n1,
    const int rows,
    const int share)
{
    offsets += offsets_start;
    g += g_start;
    dx += dx_start;
    const int first = (int)get_group_id(0) * share;
    for (int row = first; row < first + share && row < rows; ++row) {
        const int p1 = row % n1;
        const int p0 = row / n1;
        const int reach1 = p1;
        const int begin1 = reach1 < 3 ? 0 : (reach1 - 3) / 2 + 1;
        const int end1 = min(reach1 / 2 + 1, m1);
        for (int p2 = 0; p2 < n2; ++p2) {
            const int reach2 = p2;
            const int begin2 = reach2 < 3 ? 0 : (reach2 - 3) / 2 + 1;
            const int end2 = min(reach2 / 2 + 1, m2);
            for (int vector = 0; vector < channels; vector += 16) {
                const int c = min(vector, channels - 16);  // the last one overlaps the one before
                const int i = (row * n2 + p2) * channels + c;
                float16 total = (float16)(0.0f);
                for (int t1 = begin1; t1 < end1; ++t1) {
                    for (int t2 = begin2; t2 < end2; ++t2) {
                        const int at = ((p0 * m1 + t1) * m2 + t2) * channels + c;
                        const int16 took = vload16(0, offsets + at) == (int16)((reach1 - t1 * 2) * 3 + reach2 - t2 * 2);
                        total += took ? vload16(0, g + at) : (float16)(0.0f);
                    }
                }
                vstore16(total, 0, dx + i);
            }
        }
    }
}
