// model/gather_layer: gather
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gather_layer_gather(
    __global const uint *x,
    const long x_start,
    __global const int *indices,
    const long indices_start,
    __global uint *y,
    const long y_start,
    const int rows,
    const int share,
    const int size,
    const int inner)
{
    x += x_start;
    indices += indices_start;
    y += y_start;
    const int first = (int)get_group_id(0) * share;
    for (int row = first; row < first + share && row < rows; ++row) {
        const int k = row, at = min(max((int)indices[k], 0), size - 1);
        __global const uint *from = x + (at) * inner;
        __global uint *to = y + row * inner;
        int c = 0;
        for (; c + 16 <= inner; c += 16) vstore16(vload16(0, from + c), 0, to + c);
        for (; c < inner; ++c) to[c] = from[c];
    }
}
