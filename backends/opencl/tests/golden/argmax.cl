// model/argmax_layer: argmax
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void argmax_layer_argmax(
    __global const float *x,
    const long x_start,
    __global int *y,
    const long y_start,
    const int lines,
    const int n,
    const int inner)
{
    x += x_start;
    y += y_start;
    const int line = (int)get_group_id(0) * 64 + (int)get_local_id(0);
    if (line < lines) {
        const int start = line / inner * n * inner + line % inner;
        float best = x[start];
        int found = 0;
        for (int i = 1; i < n; ++i) {
            const float other = x[start + i * inner];
            const int beats = other > best || (other != other && best == best);
            best = beats ? other : best;
            found = beats ? i : found;
        }
        y[line] = (int)found;
    }
}
