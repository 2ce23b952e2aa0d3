// model/gather_layer: gather
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void gather_layer_gather(
    __global const uint *x,
    const long x_start,
    __global const int *indices,
    const long indices_start,
    __global uint *y,
    const long y_start,
    const int n,
    const int size,
    const int inner)
{
    x += x_start;
    indices += indices_start;
    y += y_start;
    const int i = (int)get_group_id(0) * 64 + (int)get_local_id(0);
    if (i < n) {
        const int k = i / inner, at = min(max((int)indices[k], 0), size - 1);
        y[i] = x[at * inner + i % inner];
    }
}
