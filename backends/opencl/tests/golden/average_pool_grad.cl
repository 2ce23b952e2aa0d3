// model/average_pool_grad_layer: average_pool_grad
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void average_pool_grad_layer_average_pool_grad(
    __global const float *g,
    const long g_start,
    __global float *dx,
    const long dx_start,
    const int channels,
    const int n1,
    const int n2,
    const int m1,
    const int m2,
    const int rows,
    const int share)
{
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
                        const int inside1 = min(t1 * 2 + 3, n1) - max(t1 * 2, (int)0);
                        const int inside2 = min(t2 * 2 + 3, n2) - max(t2 * 2, (int)0);
                        total += vload16(0, g + ((p0 * m1 + t1) * m2 + t2) * channels + c) * ((float)1 / (float)(inside1 * inside2));
                    }
                }
                vstore16(total, 0, dx + i);
            }
        }
    }
}
