// model/attention_layer: attention
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void attention_layer_attention(
    __global const float *query,
    const long query_start,
    __global const float *key_,
    const long key__start,
    __global const float *value_,
    const long value__start,
    __global const float *bias,
    const long bias_start,
    const int bias_b,
    const int bias_h,
    const int bias_q,
    const int queries,
    const int heads,
    const int keys,
    __global float *out,
    const long out_start,
    __global float *normalizer,
    const long normalizer_start)
{
    query += query_start;
    key_ += key__start;
    value_ += value__start;
    bias += bias_start;
    out += out_start;
    normalizer += normalizer_start;
    const int lane = get_local_id(0);
    const int blocks = (queries + 63) / 64;
    const int b = get_group_id(0) / (blocks * heads), h = get_group_id(0) / blocks % heads;
    const int own = get_group_id(0) % blocks * 64 + lane;
    const int there = own < queries;
    __local float key_tile[128], value_tile[128];
    __global const float *q_row = query + (((long)b * queries + own) * heads + h) * 4;
    const float q0 = there ? q_row[0] * 0.25f : 0;
    const float q1 = there ? q_row[1] * 0.25f : 0;
    const float q2 = there ? q_row[2] * 0.25f : 0;
    const float q3 = there ? q_row[3] * 0.25f : 0;
    float maximum = -INFINITY, sum = 0;
    float mixed0 = 0;
    float mixed1 = 0;
    float mixed2 = 0;
    float mixed3 = 0;
    for (int first = 0; first < keys; first += 32) {
        const int count = min(32, keys - first);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int n = lane; n < count * 4; n += 64) {
            key_tile[n] = (key_ + (((long)b * keys + first + n / 4) * heads + h) * 4)[n % 4];
        }
        for (int n = lane; n < count * 4; n += 64) {
            value_tile[n] = (value_ + (((long)b * keys + first + n / 4) * heads + h) * 4)[n % 4];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int j = 0; j < count; ++j) {
            float s = q0 * key_tile[j * 4 + 0] + q1 * key_tile[j * 4 + 1] + q2 * key_tile[j * 4 + 2] + q3 * key_tile[j * 4 + 3];
            if (there) s += bias[(long)b * bias_b + (long)h * bias_h + (long)(own) * bias_q + (first + j)];
            s = (first + j) <= own ? s : (-1e+38f);
            const float now = fmax(maximum, s);
            const float base = now == -INFINITY ? 0 : now;  // nothing seen yet
            const float kept = exp(maximum - base), weight = exp(s - base);
            maximum = now;
            sum = sum * kept + weight;
            mixed0 = mixed0 * kept + weight * value_tile[j * 4 + 0];
            mixed1 = mixed1 * kept + weight * value_tile[j * 4 + 1];
            mixed2 = mixed2 * kept + weight * value_tile[j * 4 + 2];
            mixed3 = mixed3 * kept + weight * value_tile[j * 4 + 3];
        }
    }
    if (there) {
        normalizer[((long)b * heads + h) * queries + own] = log(sum) + maximum;
        __global float *row = out + (((long)b * queries + own) * heads + h) * 4;
        row[0] = mixed0 / sum;
        row[1] = mixed1 / sum;
        row[2] = mixed2 / sum;
        row[3] = mixed3 / sum;
    }
}
