// model/max_pool_layer: max_pool
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void max_pool_layer_max_pool(
    __global const float *x,
    const long x_start,
    __global float *y,
    const long y_start,
    __global int *offsets,
    const long offsets_start,
    const int channels,
    const int n1,
    const int n2,
    const int m2,
    const int m1,
    const int rows,
    const int share)
{
    x += x_start;
    y += y_start;
    offsets += offsets_start;
    const int first = (int)get_group_id(0) * share;
    for (int row = first; row < first + share && row < rows; ++row) {
        const int p1 = row % m1;
        const int p0 = row / m1;
        const int start1 = p1 * 2;
        const int begin1 = max(-start1, (int)0);
        const int end1 = min(n1 - start1, (int)3);
        for (int p2 = 0; p2 < m2; ++p2) {
            const int start2 = p2 * 2;
            const int begin2 = max(-start2, (int)0);
            const int end2 = min(n2 - start2, (int)3);
            for (int vector = 0; vector < channels; vector += 16) {
                const int c = min(vector, channels - 16);  // the last one overlaps the one before
                const int i = (row * m2 + p2) * channels + c;
                float16 best = vload16(0, x + ((p0 * n1 + start1 + begin1) * n2 + start2 + begin2) * channels + c);
                int16 which = begin1 * 3 + begin2;
                for (int t1 = begin1; t1 < end1; ++t1) {
                    for (int t2 = begin2; t2 < end2; ++t2) {
                        const float16 v = vload16(0, x + ((p0 * n1 + start1 + t1) * n2 + start2 + t2) * channels + c);
                        const int16 greater = (v > best) | ((v != v) & (best == best));
                        best = greater ? v : best;
                        which = greater ? (int16)(t1 * 3 + t2) : which;
                    }
                }
                vstore16(best, 0, y + i);
                vstore16(which, 0, offsets + i);
            }
        }
    }
}
