// model/max_pool_layer: max_pool
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
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
    const int m1,
    const int m2,
    const int n)
{
    x += x_start;
    y += y_start;
    offsets += offsets_start;
    const int i = (int)get_group_id(0) * 64 + (int)get_local_id(0);
    if (i < n) {
        const int c = i % channels, place = i / channels;
        const int p2 = place % m2;
        const int p2_ = place / m2;
        const int p1 = p2_ % m1;
        const int p0 = p2_ / m1;
        const int start1 = p1 * 2;
        const int begin1 = max(-start1, (int)0);
        const int end1 = min(n1 - start1, (int)3);
        const int start2 = p2 * 2;
        const int begin2 = max(-start2, (int)0);
        const int end2 = min(n2 - start2, (int)3);
        float best = x[((p0 * n1 + start1 + begin1) * n2 + start2 + begin2) * channels + c];
        int which = begin1 * 3 + begin2;
        for (int t1 = begin1; t1 < end1; ++t1) {
            for (int t2 = begin2; t2 < end2; ++t2) {
                const float v = x[((p0 * n1 + start1 + t1) * n2 + start2 + t2) * channels + c];
                const int greater = (v > best) || (v != v && best == best);
                best = greater ? v : best;
                which = greater ? (int)(t1 * 3 + t2) : which;
            }
        }
        y[i] = best;
        offsets[i] = which;
    }
}
