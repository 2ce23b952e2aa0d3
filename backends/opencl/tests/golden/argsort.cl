// model/argsort_layer: argsort
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void argsort_layer_argsort_runs(
    __global const float *x,
    const long x_start,
    __global int *order,
    const long order_start,
    const int lines,
    const int n,
    const int runs)
{
    x += x_start;
    order += order_start;
    const int run = (int)get_group_id(0) * 64 + (int)get_local_id(0);
    if (run < lines * runs) {
        const int start = run / runs * n;
        const int first = run % runs * 16;
        const int end = first + 16 < n ? first + 16 : n;
        for (int i = first; i < end; ++i) {
            const float key = x[start + i];
            int at = i;
            for (; at > first; --at) {
                const int before = order[start + at - 1];
                const float other = x[start + before];
                if (!(key < other || (key == key && other != other))) break;
                order[start + at] = before;
            }
            order[start + at] = (int)i;
        }
    }
}

// model/argsort_layer: argsort
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void argsort_layer_argsort_merge(
    __global const float *x,
    const long x_start,
    __global int *order,
    const long order_start,
    __global int *merged,
    const long merged_start,
    const int lines,
    const int n,
    const int run)
{
    x += x_start;
    order += order_start;
    merged += merged_start;
    const int element = (int)get_group_id(0) * 64 + (int)get_local_id(0);
    if (element < lines * n) {
        const int start = element / n * n;
        const int i = element - start;
        const int pair = i / (2 * run) * (2 * run);
        const int middle = pair + run < n ? pair + run : n;
        const int end = middle + run < n ? middle + run : n;
        const int left = i < middle;  // of equal elements those of the left run come first
        const int own = order[element];
        const float key = x[start + own];
        int low = left ? middle : pair;
        int high = left ? end : middle;
        const int first = low;
        while (low < high) {
            const int half_way = (low + high) / 2;
            const int there = order[start + half_way];
            const float other = x[start + there];
            const int sooner = left ? (other < key || (other == other && key != key))
                                    : !(key < other || (key == key && other != other));
            low = sooner ? half_way + 1 : low;
            high = sooner ? high : half_way;
        }
        merged[start + (left ? i : pair + i - middle) + low - first] = own;
    }
}
