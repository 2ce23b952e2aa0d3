// model/attention_layer: attention
static inline int16 load_mask(const __global uchar *p, const int count) {
    return (count >= 16 ? convert_int16(vload16(0, p)) : (int16)(count > 0 ? p[0] : 0, count > 1 ? p[1] : 0, count > 2 ? p[2] : 0, count > 3 ? p[3] : 0, count > 4 ? p[4] : 0, count > 5 ? p[5] : 0, count > 6 ? p[6] : 0, count > 7 ? p[7] : 0, count > 8 ? p[8] : 0, count > 9 ? p[9] : 0, count > 10 ? p[10] : 0, count > 11 ? p[11] : 0, count > 12 ? p[12] : 0, count > 13 ? p[13] : 0, count > 14 ? p[14] : 0, count > 15 ? p[15] : 0)) != 0;
}
static inline float16 load_edge(const __global float *p, const int count) {
    return count >= 16 ? vload16(0, p) : (float16)(count > 0 ? p[0] : 0, count > 1 ? p[1] : 0, count > 2 ? p[2] : 0, count > 3 ? p[3] : 0, count > 4 ? p[4] : 0, count > 5 ? p[5] : 0, count > 6 ? p[6] : 0, count > 7 ? p[7] : 0, count > 8 ? p[8] : 0, count > 9 ? p[9] : 0, count > 10 ? p[10] : 0, count > 11 ? p[11] : 0, count > 12 ? p[12] : 0, count > 13 ? p[13] : 0, count > 14 ? p[14] : 0, count > 15 ? p[15] : 0);
}
static inline void store_edge(const float16 value, __global float *p, const int count) {
    if (count >= 16) {
        vstore16(value, 0, p);
        return;
    }
    float parts[16];
    vstore16(value, 0, parts);
    for (int i = 0; i < count; ++i) p[i] = parts[i];
}
static inline float largest(const float16 v) {
    const float8 v8 = fmax(v.lo, v.hi);
    const float4 v4 = fmax(v8.lo, v8.hi);
    const float2 v2 = fmax(v4.lo, v4.hi);
    return fmax(v2.lo, v2.hi);
}
static inline float total(const float16 v) {
    const float8 v8 = v.lo + v.hi;
    const float4 v4 = v8.lo + v8.hi;
    const float2 v2 = v4.lo + v4.hi;
    return v2.lo + v2.hi;
}
static inline void scatter(const float16 v, __global float *p) {
    p[0] = v.s0;
    p[64] = v.s1;
    p[128] = v.s2;
    p[192] = v.s3;
    p[256] = v.s4;
    p[320] = v.s5;
    p[384] = v.s6;
    p[448] = v.s7;
    p[512] = v.s8;
    p[576] = v.s9;
    p[640] = v.sa;
    p[704] = v.sb;
    p[768] = v.sc;
    p[832] = v.sd;
    p[896] = v.se;
    p[960] = v.sf;
}
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void attention_layer_attention(
    __global const float *query,
    const long query_start,
    __global const float *key_,
    const long key__start,
    __global const float *value_,
    const long value__start,
    __global const uchar *mask,
    const long mask_start,
    const int mask_b,
    const int mask_h,
    const int mask_q,
    __global float *out,
    const long out_start,
    __global float *normalizer,
    const long normalizer_start,
    __global float *scratch,
    const long scratch_start,
    const long turned_keys_at,
    const long values_at,
    const long scaled_at,
    const long weights_at,
    const long mixed_at,
    const long maximum_at,
    const long sum_at,
    const long factor_at,
    const int queries,
    const int heads,
    const int size,
    const int keys,
    const int out_size,
    const int block,
    const int query_blocks,
    const int units,
    const int turned_keys_size,
    const int values_size,
    const int scaled_size,
    const int weights_size,
    const int mixed_size,
    const int maximum_size,
    const int sum_size,
    const int factor_size)
{
    query += query_start;
    key_ += key__start;
    value_ += value__start;
    mask += mask_start;
    out += out_start;
    normalizer += normalizer_start;
    scratch += scratch_start;
    __global float *turned_keys = scratch + turned_keys_at;
    __global float *values = scratch + values_at;
    __global float *scaled = scratch + scaled_at;
    __global float *weights = scratch + weights_at;
    __global float *mixed = scratch + mixed_at;
    __global float *maximum = scratch + maximum_at;
    __global float *sum = scratch + sum_at;
    __global float *factor = scratch + factor_at;
    turned_keys += (long)get_group_id(0) * turned_keys_size;
    values += (long)get_group_id(0) * values_size;
    scaled += (long)get_group_id(0) * scaled_size;
    weights += (long)get_group_id(0) * weights_size;
    mixed += (long)get_group_id(0) * mixed_size;
    maximum += (long)get_group_id(0) * maximum_size;
    sum += (long)get_group_id(0) * sum_size;
    factor += (long)get_group_id(0) * factor_size;
    const int first_unit = (int)((long)units * get_group_id(0) / get_num_groups(0));
    const int last_unit = (int)((long)units * (get_group_id(0) + 1) / get_num_groups(0));
    for (int unit = first_unit; unit < last_unit; ++unit) {
        const int b = unit / (heads * query_blocks);
        const int h = unit / query_blocks % heads;
        const int begin = unit % query_blocks * queries;
        const int end = min(begin + queries, queries);
        for (int i = 0; i < end - begin; i += 16) {
            vstore16((float16)(-INFINITY), 0, maximum + i);
            vstore16((float16)(0.0f), 0, sum + i);
        }
        const int cleared = (end - begin + 7) / 8 * 256;
        for (int i = 0; i < cleared; i += 16) {
            vstore16((float16)(0.0f), 0, mixed + i);
        }
        for (int first = 0; first < keys; first += 128) {
            const int count = min(128, keys - first);
            const int panels = (count + 63) / 64;
            for (int i = 0; i < (count + 63) / 64 * 64; ++i) {
                for (int d = 0; d < 32; d += 16) {
                    const float16 part = i < count ? load_edge(key_ + (((long)b * keys + first + i) * heads + h) * size + d, size - d) : (float16)(0.0f);
                    scatter(part, turned_keys + (i / 64 * 32 + d) * 64 + i % 64);
                }
            }
            for (int i = 0; i < count; ++i) {
                const __global float *row = value_ + (((long)b * keys + first + i) * heads + h) * out_size;
                for (int d = 0; d < 32; d += 16) {
                    vstore16(load_edge(row + d, out_size - d), 0, values + i * 32 + d);
                }
            }
            for (int q = begin; q < end; q += 8) {
                const int rows = min(8, end - q);
                for (int i = 0; i < rows; ++i) {
                    const __global float *row = query + (((long)b * queries + q + i) * heads + h) * size;
                    for (int d = 0; d < 32; d += 16) {
                        vstore16(load_edge(row + d, size - d) * 0.25f, 0, scaled + i * 32 + d);
                    }
                }
                for (int p = 0; p < panels; ++p) {
                    for (int i = 0; i < rows; i += 4) {
                        const __global float *l = scaled + i * 32;
                        const __global float *panel = turned_keys + p * 2048;
                        __global float *s = weights + i * 128 + p * 64;
                        float16 acc0_0 = (float16)(0.0f);
                        float16 acc0_1 = (float16)(0.0f);
                        float16 acc0_2 = (float16)(0.0f);
                        float16 acc0_3 = (float16)(0.0f);
                        float16 acc1_0 = (float16)(0.0f);
                        float16 acc1_1 = (float16)(0.0f);
                        float16 acc1_2 = (float16)(0.0f);
                        float16 acc1_3 = (float16)(0.0f);
                        float16 acc2_0 = (float16)(0.0f);
                        float16 acc2_1 = (float16)(0.0f);
                        float16 acc2_2 = (float16)(0.0f);
                        float16 acc2_3 = (float16)(0.0f);
                        float16 acc3_0 = (float16)(0.0f);
                        float16 acc3_1 = (float16)(0.0f);
                        float16 acc3_2 = (float16)(0.0f);
                        float16 acc3_3 = (float16)(0.0f);
                        for (int k = 0; k < 32; ++k) {
                            const float16 b0 = vload16(0, panel + k * 64 + 0);
                            const float16 b1 = vload16(0, panel + k * 64 + 16);
                            const float16 b2 = vload16(0, panel + k * 64 + 32);
                            const float16 b3 = vload16(0, panel + k * 64 + 48);
                            const float16 a0 = (float16)(l[0 * 32 + k]);
                            acc0_0 = fma(a0, b0, acc0_0);
                            acc0_1 = fma(a0, b1, acc0_1);
                            acc0_2 = fma(a0, b2, acc0_2);
                            acc0_3 = fma(a0, b3, acc0_3);
                            const float16 a1 = (float16)(l[1 * 32 + k]);
                            acc1_0 = fma(a1, b0, acc1_0);
                            acc1_1 = fma(a1, b1, acc1_1);
                            acc1_2 = fma(a1, b2, acc1_2);
                            acc1_3 = fma(a1, b3, acc1_3);
                            const float16 a2 = (float16)(l[2 * 32 + k]);
                            acc2_0 = fma(a2, b0, acc2_0);
                            acc2_1 = fma(a2, b1, acc2_1);
                            acc2_2 = fma(a2, b2, acc2_2);
                            acc2_3 = fma(a2, b3, acc2_3);
                            const float16 a3 = (float16)(l[3 * 32 + k]);
                            acc3_0 = fma(a3, b0, acc3_0);
                            acc3_1 = fma(a3, b1, acc3_1);
                            acc3_2 = fma(a3, b2, acc3_2);
                            acc3_3 = fma(a3, b3, acc3_3);
                        }
                        vstore16(acc0_0, 0, s + 0);
                        vstore16(acc0_1, 0, s + 16);
                        vstore16(acc0_2, 0, s + 32);
                        vstore16(acc0_3, 0, s + 48);
                        vstore16(acc1_0, 0, s + 128);
                        vstore16(acc1_1, 0, s + 144);
                        vstore16(acc1_2, 0, s + 160);
                        vstore16(acc1_3, 0, s + 176);
                        vstore16(acc2_0, 0, s + 256);
                        vstore16(acc2_1, 0, s + 272);
                        vstore16(acc2_2, 0, s + 288);
                        vstore16(acc2_3, 0, s + 304);
                        vstore16(acc3_0, 0, s + 384);
                        vstore16(acc3_1, 0, s + 400);
                        vstore16(acc3_2, 0, s + 416);
                        vstore16(acc3_3, 0, s + 432);
                    }
                }
                for (int i = 0; i < rows; ++i) {
                    const int t = q + i;
                    float16 top = (float16)(-INFINITY);
                    for (int j = 0; j < count; j += 16) {
                        float16 s = vload16(0, weights + i * 128 + j);
                        s = select((float16)((-1e+38f)), s, load_mask(mask + (long)b * mask_b + (long)h * mask_h + (long)t * mask_q + first + j, count - j));
                        if (j + 16 > count) {
                            s = select((float16)(-INFINITY), s, (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) < (int16)(count - j));
                        }
                        vstore16(s, 0, weights + i * 128 + j);
                        top = fmax(top, s);
                    }
                    const int place = t - begin;
                    const float before = maximum[place];
                    const float now = fmax(before, largest(top));
                    const float base = now == -INFINITY ? 0 : now;  // nothing seen yet
                    maximum[place] = now;
                    float16 sums = (float16)(0.0f);
                    for (int j = 0; j < count; j += 16) {
                        const float16 weight = exp(vload16(0, weights + i * 128 + j) - base);
                        vstore16(weight, 0, weights + i * 128 + j);
                        sums += weight;
                    }
                    const float kept = first == 0 ? 0 : exp(before - base);
                    sum[place] = sum[place] * kept + total(sums);
                    factor[i] = kept;
                }
                 {
                    for (int i = 0; i < rows; i += 8) {
                        __global float *m = mixed + (q - begin + i) * 32 + 0;
                        const __global float *w = weights + i * 128;
                        float16 acc0_0 = factor[i + 0] * vload16(0, m + 0 * 32 + 0 * 16);
                        float16 acc0_1 = factor[i + 0] * vload16(0, m + 0 * 32 + 1 * 16);
                        float16 acc1_0 = factor[i + 1] * vload16(0, m + 1 * 32 + 0 * 16);
                        float16 acc1_1 = factor[i + 1] * vload16(0, m + 1 * 32 + 1 * 16);
                        float16 acc2_0 = factor[i + 2] * vload16(0, m + 2 * 32 + 0 * 16);
                        float16 acc2_1 = factor[i + 2] * vload16(0, m + 2 * 32 + 1 * 16);
                        float16 acc3_0 = factor[i + 3] * vload16(0, m + 3 * 32 + 0 * 16);
                        float16 acc3_1 = factor[i + 3] * vload16(0, m + 3 * 32 + 1 * 16);
                        float16 acc4_0 = factor[i + 4] * vload16(0, m + 4 * 32 + 0 * 16);
                        float16 acc4_1 = factor[i + 4] * vload16(0, m + 4 * 32 + 1 * 16);
                        float16 acc5_0 = factor[i + 5] * vload16(0, m + 5 * 32 + 0 * 16);
                        float16 acc5_1 = factor[i + 5] * vload16(0, m + 5 * 32 + 1 * 16);
                        float16 acc6_0 = factor[i + 6] * vload16(0, m + 6 * 32 + 0 * 16);
                        float16 acc6_1 = factor[i + 6] * vload16(0, m + 6 * 32 + 1 * 16);
                        float16 acc7_0 = factor[i + 7] * vload16(0, m + 7 * 32 + 0 * 16);
                        float16 acc7_1 = factor[i + 7] * vload16(0, m + 7 * 32 + 1 * 16);
                        for (int k = 0; k < count; ++k) {
                            const float16 b0 = vload16(0, values + 0 + k * 32 + 0);
                            const float16 b1 = vload16(0, values + 0 + k * 32 + 16);
                            const float16 a0 = (float16)(w[0 * 128 + k]);
                            acc0_0 = fma(a0, b0, acc0_0);
                            acc0_1 = fma(a0, b1, acc0_1);
                            const float16 a1 = (float16)(w[1 * 128 + k]);
                            acc1_0 = fma(a1, b0, acc1_0);
                            acc1_1 = fma(a1, b1, acc1_1);
                            const float16 a2 = (float16)(w[2 * 128 + k]);
                            acc2_0 = fma(a2, b0, acc2_0);
                            acc2_1 = fma(a2, b1, acc2_1);
                            const float16 a3 = (float16)(w[3 * 128 + k]);
                            acc3_0 = fma(a3, b0, acc3_0);
                            acc3_1 = fma(a3, b1, acc3_1);
                            const float16 a4 = (float16)(w[4 * 128 + k]);
                            acc4_0 = fma(a4, b0, acc4_0);
                            acc4_1 = fma(a4, b1, acc4_1);
                            const float16 a5 = (float16)(w[5 * 128 + k]);
                            acc5_0 = fma(a5, b0, acc5_0);
                            acc5_1 = fma(a5, b1, acc5_1);
                            const float16 a6 = (float16)(w[6 * 128 + k]);
                            acc6_0 = fma(a6, b0, acc6_0);
                            acc6_1 = fma(a6, b1, acc6_1);
                            const float16 a7 = (float16)(w[7 * 128 + k]);
                            acc7_0 = fma(a7, b0, acc7_0);
                            acc7_1 = fma(a7, b1, acc7_1);
                        }
                        vstore16(acc0_0, 0, m + 0);
                        vstore16(acc0_1, 0, m + 16);
                        vstore16(acc1_0, 0, m + 32);
                        vstore16(acc1_1, 0, m + 48);
                        vstore16(acc2_0, 0, m + 64);
                        vstore16(acc2_1, 0, m + 80);
                        vstore16(acc3_0, 0, m + 96);
                        vstore16(acc3_1, 0, m + 112);
                        vstore16(acc4_0, 0, m + 128);
                        vstore16(acc4_1, 0, m + 144);
                        vstore16(acc5_0, 0, m + 160);
                        vstore16(acc5_1, 0, m + 176);
                        vstore16(acc6_0, 0, m + 192);
                        vstore16(acc6_1, 0, m + 208);
                        vstore16(acc7_0, 0, m + 224);
                        vstore16(acc7_1, 0, m + 240);
                    }
                }
            }
        }
        for (int i = 0; i < end - begin; i += 16) {
            store_edge(log(vload16(0, sum + i)) + vload16(0, maximum + i), normalizer + ((long)b * heads + h) * queries + begin + i, end - begin - i);
        }
        for (int i = 0; i < end - begin; ++i) {
            __global float *row = out + (((long)b * queries + begin + i) * heads + h) * out_size;
            const float whole = sum[i];
            for (int d = 0; d < 32; d += 16) {
                const float16 part = vload16(0, mixed + i * 32 + d) / whole;
                store_edge(part, row + d, out_size - d);
            }
        }
    }
}
