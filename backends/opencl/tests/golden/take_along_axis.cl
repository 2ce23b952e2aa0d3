// model/take_along_axis_layer: take_along_axis
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void take_along_axis_layer_take_along_axis(
    __global const uint *x,
    const long x_start,
    __global const int *indices,
    const long indices_start,
    __global uint *y,
    const long y_start,
    const int n,
    const int size,
    const int step,
    const int x_c0)
{
    x += x_start;
    indices += indices_start;
    y += y_start;
    const int i = (int)get_group_id(0) * 64 + (int)get_local_id(0);
    if (i < n) {
        const int c0 = i;
        const int k = c0;
        const int at = min(max((int)indices[k], 0), size - 1);
        y[i] = x[at * step + c0 * x_c0];
    }
}
