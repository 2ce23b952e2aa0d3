// model/scatter_add_layer: scatter_add
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void scatter_add_layer_scatter_add(
    __global const int *indices,
    const long indices_start,
    __global const float *updates,
    const long updates_start,
    __global float *y,
    const long y_start,
    const int count,
    const int size,
    const int rows,
    const int share,
    const int inner)
{
    indices += indices_start;
    updates += updates_start;
    y += y_start;
    const int first = (int)get_group_id(0) * share, last = min(first + share, rows);
    int i = first * inner;
    for (; i + 16 <= last * inner; i += 16) vstore16((float16)(0), 0, y + i);
    for (; i < last * inner; ++i) y[i] = 0;
    const int low = first, high = last;
    __global const float *source = updates;
    __global float *target = y;
    for (int k = 0; k < count; ++k) {
        const int at = min(max((int)indices[k], 0), size - 1);
        if (at >= low && at < high) {
            __global const float *from = source + k * inner;
            __global float *to = target + at * inner;
            int c = 0;
            for (; c + 16 <= inner; c += 16) vstore16(vload16(0, to + c) + vload16(0, from + c), 0, to + c);
            for (; c < inner; ++c) to[c] = to[c] + from[c];
        }
    }
}
