// model/scatter_add_layer: scatter_add
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void scatter_add_layer_scatter_add(
    __global const int *indices,
    const long indices_start,
    __global const float *updates,
    const long updates_start,
    __global float *y,
    const long y_start,
    const int count,
    const int size,
    const int n,
    const int inner)
{
    indices += indices_start;
    updates += updates_start;
    y += y_start;
    __local int tile[64];
    __local int hit;
    const int lane = (int)get_local_id(0);
    const int begin = (int)get_group_id(0) * 256, end = min(begin + 256, n) - 1;
    const int first = begin / inner, last = end / inner;
    const bool whole = first / size != last / size;  // its rows are all there are
    const int low = whole ? 0 : first % size, high = whole ? size - 1 : last % size;
    const int i0 = begin + 0 + lane, row0 = i0 / inner, at0 = row0 % size;
    const int from0 = row0 / size * count * inner + i0 % inner;
    float sum0 = 0;
    const int i1 = begin + 64 + lane, row1 = i1 / inner, at1 = row1 % size;
    const int from1 = row1 / size * count * inner + i1 % inner;
    float sum1 = 0;
    const int i2 = begin + 128 + lane, row2 = i2 / inner, at2 = row2 % size;
    const int from2 = row2 / size * count * inner + i2 % inner;
    float sum2 = 0;
    const int i3 = begin + 192 + lane, row3 = i3 / inner, at3 = row3 % size;
    const int from3 = row3 / size * count * inner + i3 % inner;
    float sum3 = 0;
    for (int start = 0; start < count; start += 64) {
        if (lane == 0) hit = 0;
        const int k = min(start + lane, count - 1);
        tile[lane] = min(max((int)indices[k], 0), size - 1);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (tile[lane] >= low && tile[lane] <= high) atomic_or(&hit, 1);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (hit) {
            for (int k = start; k < count && k < start + 64; ++k) {
                const int at = tile[k - start];
                if (at == at0 && i0 < n) sum0 += updates[from0 + k * inner];
                if (at == at1 && i1 < n) sum1 += updates[from1 + k * inner];
                if (at == at2 && i2 < n) sum2 += updates[from2 + k * inner];
                if (at == at3 && i3 < n) sum3 += updates[from3 + k * inner];
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (i0 < n) y[i0] = sum0;
    if (i1 < n) y[i1] = sum1;
    if (i2 < n) y[i2] = sum2;
    if (i3 < n) y[i3] = sum3;
}
