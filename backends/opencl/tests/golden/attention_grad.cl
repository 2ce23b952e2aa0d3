// model/attention_grad_layer: attention_grad
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
void attention_grad_layer_attention_grad(
    __global const float *g,
    const long g_start,
    __global const float *query,
    const long query_start,
    __global const float *key_,
    const long key__start,
    __global const float *value_,
    const long value__start,
    __global const float *out,
    const long out_start,
    __global const float *normalizer,
    const long normalizer_start,
    __global const uchar *mask,
    const long mask_start,
    const int mask_b,
    const int mask_h,
    const int mask_q,
    __global float *dq,
    const long dq_start,
    __global float *dk,
    const long dk_start,
    __global float *dv,
    const long dv_start,
    __global float *scratch,
    const long scratch_start,
    const long turned_keys_at,
    const long turned_values_at,
    const long plain_keys_at,
    const long scaled_at,
    const long arriving_at,
    const long weights_at,
    const long slopes_at,
    const long dk_sums_at,
    const long dv_sums_at,
    const int queries,
    const int heads,
    const int size,
    const int keys,
    const int out_size,
    const int block,
    const int query_blocks,
    const int units,
    const int turned_keys_size,
    const int turned_values_size,
    const int plain_keys_size,
    const int scaled_size,
    const int arriving_size,
    const int weights_size,
    const int slopes_size,
    const int dk_sums_size,
    const int dv_sums_size)
{
    g += g_start;
    query += query_start;
    key_ += key__start;
    value_ += value__start;
    out += out_start;
    normalizer += normalizer_start;
    mask += mask_start;
    dq += dq_start;
    dk += dk_start;
    dv += dv_start;
    scratch += scratch_start;
    __global float *turned_keys = scratch + turned_keys_at;
    __global float *turned_values = scratch + turned_values_at;
    __global float *plain_keys = scratch + plain_keys_at;
    __global float *scaled = scratch + scaled_at;
    __global float *arriving = scratch + arriving_at;
    __global float *weights = scratch + weights_at;
    __global float *slopes = scratch + slopes_at;
    __global float *dk_sums = scratch + dk_sums_at;
    __global float *dv_sums = scratch + dv_sums_at;
    turned_keys += (long)get_group_id(0) * turned_keys_size;
    turned_values += (long)get_group_id(0) * turned_values_size;
    plain_keys += (long)get_group_id(0) * plain_keys_size;
    scaled += (long)get_group_id(0) * scaled_size;
    arriving += (long)get_group_id(0) * arriving_size;
    weights += (long)get_group_id(0) * weights_size;
    slopes += (long)get_group_id(0) * slopes_size;
    dk_sums += (long)get_group_id(0) * dk_sums_size;
    dv_sums += (long)get_group_id(0) * dv_sums_size;
    const int first_unit = (int)((long)units * get_group_id(0) / get_num_groups(0));
    const int last_unit = (int)((long)units * (get_group_id(0) + 1) / get_num_groups(0));
    for (int unit = first_unit; unit < last_unit; ++unit) {
        const int b = unit / (heads * query_blocks);
        const int h = unit / query_blocks % heads;
        const int begin = unit % query_blocks * queries;
        const int end = min(begin + queries, queries);
        for (int first = 0; first < keys; first += 128) {
            const int count = min(128, keys - first);
            const int panels = (count + 63) / 64;
            for (int i = 0; i < (count + 63) / 64 * 64; ++i) {
                for (int d = 0; d < 32; d += 16) {
                    const float16 part = i < count ? load_edge(key_ + (((long)b * keys + first + i) * heads + h) * size + d, size - d) : (float16)(0.0f);
                    scatter(part, turned_keys + (i / 64 * 32 + d) * 64 + i % 64);
                }
            }
            for (int i = 0; i < (count + 63) / 64 * 64; ++i) {
                for (int d = 0; d < 32; d += 16) {
                    const float16 part = i < count ? load_edge(value_ + (((long)b * keys + first + i) * heads + h) * out_size + d, out_size - d) : (float16)(0.0f);
                    scatter(part, turned_values + (i / 64 * 32 + d) * 64 + i % 64);
                }
            }
            for (int i = 0; i < count; ++i) {
                const __global float *row = key_ + (((long)b * keys + first + i) * heads + h) * size;
                for (int d = 0; d < 32; d += 16) {
                    vstore16(load_edge(row + d, size - d), 0, plain_keys + i * 32 + d);
                }
            }
            for (int i = 0; i < count * 32; i += 16) {
                vstore16((float16)(0.0f), 0, dk_sums + i);
            }
            for (int i = 0; i < count * 32; i += 16) {
                vstore16((float16)(0.0f), 0, dv_sums + i);
            }
            for (int q = begin; q < end; q += 64) {
                const int rows = min(64, end - q);
                const int padded = (rows + 7) / 8 * 8;
                for (int i = 0; i < padded; ++i) {
                    const int known = i < rows;
                    const __global float *query_row = query + (((long)b * queries + q + i) * heads + h) * size;
                    const __global float *g_row = g + (((long)b * queries + q + i) * heads + h) * out_size;
                    for (int d = 0; d < 32; d += 16) {
                        const float16 part = known ? load_edge(query_row + d, size - d) * 0.25f : (float16)(0.0f);
                        vstore16(part, 0, scaled + i * 32 + d);
                    }
                    for (int d = 0; d < 32; d += 16) {
                        const float16 part = known ? load_edge(g_row + d, out_size - d) : (float16)(0.0f);
                        vstore16(part, 0, arriving + i * 32 + d);
                    }
                }
                for (int p = 0; p < panels; ++p) {
                    for (int i = 0; i < padded; i += 4) {
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
                for (int p = 0; p < panels; ++p) {
                    for (int i = 0; i < padded; i += 4) {
                        const __global float *l = arriving + i * 32;
                        const __global float *panel = turned_values + p * 2048;
                        __global float *s = slopes + i * 128 + p * 64;
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
                    const __global float *out_row = out + (((long)b * queries + t) * heads + h) * out_size;
                    float16 products = (float16)(0.0f);
                    for (int d = 0; d < 32; d += 16) {
                        products += load_edge(out_row + d, out_size - d) * vload16(0, arriving + i * 32 + d);
                    }
                    const float along = total(products);
                    const float norm = normalizer[((long)b * heads + h) * queries + t];
                    const int blind = norm < (-5e+37f);  // every key is masked: all weigh alike
                    const float uniform = 1.0f / keys;
                    for (int j = 0; j < count; j += 16) {
                        float16 s = vload16(0, weights + i * 128 + j);
                        s = select((float16)((-1e+38f)), s, load_mask(mask + (long)b * mask_b + (long)h * mask_h + (long)t * mask_q + first + j, count - j));
                        if (j + 16 > count) {
                            s = select((float16)(-INFINITY), s, (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) < (int16)(count - j));
                        }
                        const float16 weight = blind ? (float16)(uniform) : exp(s - norm);
                        float16 slope = weight * (vload16(0, slopes + i * 128 + j) - along);
                        slope = select((float16)(0.0f), slope, s > (float16)((-5e+37f)));
                        vstore16(weight, 0, weights + i * 128 + j);
                        vstore16(slope, 0, slopes + i * 128 + j);
                    }
                }
                 {
                    for (int i = 0; i < rows; i += 8) {
                        const __global float *s = slopes + i * 128;
                        float16 acc0_0 = (float16)(0.0f);
                        float16 acc0_1 = (float16)(0.0f);
                        float16 acc1_0 = (float16)(0.0f);
                        float16 acc1_1 = (float16)(0.0f);
                        float16 acc2_0 = (float16)(0.0f);
                        float16 acc2_1 = (float16)(0.0f);
                        float16 acc3_0 = (float16)(0.0f);
                        float16 acc3_1 = (float16)(0.0f);
                        float16 acc4_0 = (float16)(0.0f);
                        float16 acc4_1 = (float16)(0.0f);
                        float16 acc5_0 = (float16)(0.0f);
                        float16 acc5_1 = (float16)(0.0f);
                        float16 acc6_0 = (float16)(0.0f);
                        float16 acc6_1 = (float16)(0.0f);
                        float16 acc7_0 = (float16)(0.0f);
                        float16 acc7_1 = (float16)(0.0f);
                        for (int k = 0; k < count; ++k) {
                            const float16 b0 = vload16(0, plain_keys + 0 + k * 32 + 0);
                            const float16 b1 = vload16(0, plain_keys + 0 + k * 32 + 16);
                            const float16 a0 = (float16)(s[0 * 128 + k]);
                            acc0_0 = fma(a0, b0, acc0_0);
                            acc0_1 = fma(a0, b1, acc0_1);
                            const float16 a1 = (float16)(s[1 * 128 + k]);
                            acc1_0 = fma(a1, b0, acc1_0);
                            acc1_1 = fma(a1, b1, acc1_1);
                            const float16 a2 = (float16)(s[2 * 128 + k]);
                            acc2_0 = fma(a2, b0, acc2_0);
                            acc2_1 = fma(a2, b1, acc2_1);
                            const float16 a3 = (float16)(s[3 * 128 + k]);
                            acc3_0 = fma(a3, b0, acc3_0);
                            acc3_1 = fma(a3, b1, acc3_1);
                            const float16 a4 = (float16)(s[4 * 128 + k]);
                            acc4_0 = fma(a4, b0, acc4_0);
                            acc4_1 = fma(a4, b1, acc4_1);
                            const float16 a5 = (float16)(s[5 * 128 + k]);
                            acc5_0 = fma(a5, b0, acc5_0);
                            acc5_1 = fma(a5, b1, acc5_1);
                            const float16 a6 = (float16)(s[6 * 128 + k]);
                            acc6_0 = fma(a6, b0, acc6_0);
                            acc6_1 = fma(a6, b1, acc6_1);
                            const float16 a7 = (float16)(s[7 * 128 + k]);
                            acc7_0 = fma(a7, b0, acc7_0);
                            acc7_1 = fma(a7, b1, acc7_1);
                        }
                        if (i + 0 < rows) {
                            __global float *row = dq + (((long)b * queries + q + i + 0) * heads + h) * size;
                            store_edge((first ? load_edge(row + 0, size - 0) : (float16)(0.0f)) + acc0_0 * 0.25f, row + 0, size - 0);
                            store_edge((first ? load_edge(row + 16, size - 16) : (float16)(0.0f)) + acc0_1 * 0.25f, row + 16, size - 16);
                        }
                        if (i + 1 < rows) {
                            __global float *row = dq + (((long)b * queries + q + i + 1) * heads + h) * size;
                            store_edge((first ? load_edge(row + 0, size - 0) : (float16)(0.0f)) + acc1_0 * 0.25f, row + 0, size - 0);
                            store_edge((first ? load_edge(row + 16, size - 16) : (float16)(0.0f)) + acc1_1 * 0.25f, row + 16, size - 16);
                        }
                        if (i + 2 < rows) {
                            __global float *row = dq + (((long)b * queries + q + i + 2) * heads + h) * size;
                            store_edge((first ? load_edge(row + 0, size - 0) : (float16)(0.0f)) + acc2_0 * 0.25f, row + 0, size - 0);
                            store_edge((first ? load_edge(row + 16, size - 16) : (float16)(0.0f)) + acc2_1 * 0.25f, row + 16, size - 16);
                        }
                        if (i + 3 < rows) {
                            __global float *row = dq + (((long)b * queries + q + i + 3) * heads + h) * size;
                            store_edge((first ? load_edge(row + 0, size - 0) : (float16)(0.0f)) + acc3_0 * 0.25f, row + 0, size - 0);
                            store_edge((first ? load_edge(row + 16, size - 16) : (float16)(0.0f)) + acc3_1 * 0.25f, row + 16, size - 16);
                        }
                        if (i + 4 < rows) {
                            __global float *row = dq + (((long)b * queries + q + i + 4) * heads + h) * size;
                            store_edge((first ? load_edge(row + 0, size - 0) : (float16)(0.0f)) + acc4_0 * 0.25f, row + 0, size - 0);
                            store_edge((first ? load_edge(row + 16, size - 16) : (float16)(0.0f)) + acc4_1 * 0.25f, row + 16, size - 16);
                        }
                        if (i + 5 < rows) {
                            __global float *row = dq + (((long)b * queries + q + i + 5) * heads + h) * size;
                            store_edge((first ? load_edge(row + 0, size - 0) : (float16)(0.0f)) + acc5_0 * 0.25f, row + 0, size - 0);
                            store_edge((first ? load_edge(row + 16, size - 16) : (float16)(0.0f)) + acc5_1 * 0.25f, row + 16, size - 16);
                        }
                        if (i + 6 < rows) {
                            __global float *row = dq + (((long)b * queries + q + i + 6) * heads + h) * size;
                            store_edge((first ? load_edge(row + 0, size - 0) : (float16)(0.0f)) + acc6_0 * 0.25f, row + 0, size - 0);
                            store_edge((first ? load_edge(row + 16, size - 16) : (float16)(0.0f)) + acc6_1 * 0.25f, row + 16, size - 16);
                        }
                        if (i + 7 < rows) {
                            __global float *row = dq + (((long)b * queries + q + i + 7) * heads + h) * size;
                            store_edge((first ? load_edge(row + 0, size - 0) : (float16)(0.0f)) + acc7_0 * 0.25f, row + 0, size - 0);
                            store_edge((first ? load_edge(row + 16, size - 16) : (float16)(0.0f)) + acc7_1 * 0.25f, row + 16, size - 16);
                        }
                    }
                }
                 {
                    for (int i = 0; i < count; i += 8) {
                        const __global float *l = slopes + i;
                        __global float *sums = dk_sums + i * 32 + 0;
                        float16 acc0_0 = vload16(0, sums + 0 * 32 + 0 * 16);
                        float16 acc0_1 = vload16(0, sums + 0 * 32 + 1 * 16);
                        float16 acc1_0 = vload16(0, sums + 1 * 32 + 0 * 16);
                        float16 acc1_1 = vload16(0, sums + 1 * 32 + 1 * 16);
                        float16 acc2_0 = vload16(0, sums + 2 * 32 + 0 * 16);
                        float16 acc2_1 = vload16(0, sums + 2 * 32 + 1 * 16);
                        float16 acc3_0 = vload16(0, sums + 3 * 32 + 0 * 16);
                        float16 acc3_1 = vload16(0, sums + 3 * 32 + 1 * 16);
                        float16 acc4_0 = vload16(0, sums + 4 * 32 + 0 * 16);
                        float16 acc4_1 = vload16(0, sums + 4 * 32 + 1 * 16);
                        float16 acc5_0 = vload16(0, sums + 5 * 32 + 0 * 16);
                        float16 acc5_1 = vload16(0, sums + 5 * 32 + 1 * 16);
                        float16 acc6_0 = vload16(0, sums + 6 * 32 + 0 * 16);
                        float16 acc6_1 = vload16(0, sums + 6 * 32 + 1 * 16);
                        float16 acc7_0 = vload16(0, sums + 7 * 32 + 0 * 16);
                        float16 acc7_1 = vload16(0, sums + 7 * 32 + 1 * 16);
                        for (int k = 0; k < rows; ++k) {
                            const float16 b0 = vload16(0, scaled + 0 + k * 32 + 0);
                            const float16 b1 = vload16(0, scaled + 0 + k * 32 + 16);
                            const float16 a0 = (float16)(l[k * 128 + 0]);
                            acc0_0 = fma(a0, b0, acc0_0);
                            acc0_1 = fma(a0, b1, acc0_1);
                            const float16 a1 = (float16)(l[k * 128 + 1]);
                            acc1_0 = fma(a1, b0, acc1_0);
                            acc1_1 = fma(a1, b1, acc1_1);
                            const float16 a2 = (float16)(l[k * 128 + 2]);
                            acc2_0 = fma(a2, b0, acc2_0);
                            acc2_1 = fma(a2, b1, acc2_1);
                            const float16 a3 = (float16)(l[k * 128 + 3]);
                            acc3_0 = fma(a3, b0, acc3_0);
                            acc3_1 = fma(a3, b1, acc3_1);
                            const float16 a4 = (float16)(l[k * 128 + 4]);
                            acc4_0 = fma(a4, b0, acc4_0);
                            acc4_1 = fma(a4, b1, acc4_1);
                            const float16 a5 = (float16)(l[k * 128 + 5]);
                            acc5_0 = fma(a5, b0, acc5_0);
                            acc5_1 = fma(a5, b1, acc5_1);
                            const float16 a6 = (float16)(l[k * 128 + 6]);
                            acc6_0 = fma(a6, b0, acc6_0);
                            acc6_1 = fma(a6, b1, acc6_1);
                            const float16 a7 = (float16)(l[k * 128 + 7]);
                            acc7_0 = fma(a7, b0, acc7_0);
                            acc7_1 = fma(a7, b1, acc7_1);
                        }
                        vstore16(acc0_0, 0, sums + 0);
                        vstore16(acc0_1, 0, sums + 16);
                        vstore16(acc1_0, 0, sums + 32);
                        vstore16(acc1_1, 0, sums + 48);
                        vstore16(acc2_0, 0, sums + 64);
                        vstore16(acc2_1, 0, sums + 80);
                        vstore16(acc3_0, 0, sums + 96);
                        vstore16(acc3_1, 0, sums + 112);
                        vstore16(acc4_0, 0, sums + 128);
                        vstore16(acc4_1, 0, sums + 144);
                        vstore16(acc5_0, 0, sums + 160);
                        vstore16(acc5_1, 0, sums + 176);
                        vstore16(acc6_0, 0, sums + 192);
                        vstore16(acc6_1, 0, sums + 208);
                        vstore16(acc7_0, 0, sums + 224);
                        vstore16(acc7_1, 0, sums + 240);
                    }
                }
                 {
                    for (int i = 0; i < count; i += 8) {
                        const __global float *l = weights + i;
                        __global float *sums = dv_sums + i * 32 + 0;
                        float16 acc0_0 = vload16(0, sums + 0 * 32 + 0 * 16);
                        float16 acc0_1 = vload16(0, sums + 0 * 32 + 1 * 16);
                        float16 acc1_0 = vload16(0, sums + 1 * 32 + 0 * 16);
                        float16 acc1_1 = vload16(0, sums + 1 * 32 + 1 * 16);
                        float16 acc2_0 = vload16(0, sums + 2 * 32 + 0 * 16);
                        float16 acc2_1 = vload16(0, sums + 2 * 32 + 1 * 16);
                        float16 acc3_0 = vload16(0, sums + 3 * 32 + 0 * 16);
                        float16 acc3_1 = vload16(0, sums + 3 * 32 + 1 * 16);
                        float16 acc4_0 = vload16(0, sums + 4 * 32 + 0 * 16);
                        float16 acc4_1 = vload16(0, sums + 4 * 32 + 1 * 16);
                        float16 acc5_0 = vload16(0, sums + 5 * 32 + 0 * 16);
                        float16 acc5_1 = vload16(0, sums + 5 * 32 + 1 * 16);
                        float16 acc6_0 = vload16(0, sums + 6 * 32 + 0 * 16);
                        float16 acc6_1 = vload16(0, sums + 6 * 32 + 1 * 16);
                        float16 acc7_0 = vload16(0, sums + 7 * 32 + 0 * 16);
                        float16 acc7_1 = vload16(0, sums + 7 * 32 + 1 * 16);
                        for (int k = 0; k < rows; ++k) {
                            const float16 b0 = vload16(0, arriving + 0 + k * 32 + 0);
                            const float16 b1 = vload16(0, arriving + 0 + k * 32 + 16);
                            const float16 a0 = (float16)(l[k * 128 + 0]);
                            acc0_0 = fma(a0, b0, acc0_0);
                            acc0_1 = fma(a0, b1, acc0_1);
                            const float16 a1 = (float16)(l[k * 128 + 1]);
                            acc1_0 = fma(a1, b0, acc1_0);
                            acc1_1 = fma(a1, b1, acc1_1);
                            const float16 a2 = (float16)(l[k * 128 + 2]);
                            acc2_0 = fma(a2, b0, acc2_0);
                            acc2_1 = fma(a2, b1, acc2_1);
                            const float16 a3 = (float16)(l[k * 128 + 3]);
                            acc3_0 = fma(a3, b0, acc3_0);
                            acc3_1 = fma(a3, b1, acc3_1);
                            const float16 a4 = (float16)(l[k * 128 + 4]);
                            acc4_0 = fma(a4, b0, acc4_0);
                            acc4_1 = fma(a4, b1, acc4_1);
                            const float16 a5 = (float16)(l[k * 128 + 5]);
                            acc5_0 = fma(a5, b0, acc5_0);
                            acc5_1 = fma(a5, b1, acc5_1);
                            const float16 a6 = (float16)(l[k * 128 + 6]);
                            acc6_0 = fma(a6, b0, acc6_0);
                            acc6_1 = fma(a6, b1, acc6_1);
                            const float16 a7 = (float16)(l[k * 128 + 7]);
                            acc7_0 = fma(a7, b0, acc7_0);
                            acc7_1 = fma(a7, b1, acc7_1);
                        }
                        vstore16(acc0_0, 0, sums + 0);
                        vstore16(acc0_1, 0, sums + 16);
                        vstore16(acc1_0, 0, sums + 32);
                        vstore16(acc1_1, 0, sums + 48);
                        vstore16(acc2_0, 0, sums + 64);
                        vstore16(acc2_1, 0, sums + 80);
                        vstore16(acc3_0, 0, sums + 96);
                        vstore16(acc3_1, 0, sums + 112);
                        vstore16(acc4_0, 0, sums + 128);
                        vstore16(acc4_1, 0, sums + 144);
                        vstore16(acc5_0, 0, sums + 160);
                        vstore16(acc5_1, 0, sums + 176);
                        vstore16(acc6_0, 0, sums + 192);
                        vstore16(acc6_1, 0, sums + 208);
                        vstore16(acc7_0, 0, sums + 224);
                        vstore16(acc7_1, 0, sums + 240);
                    }
                }
            }
            for (int i = 0; i < count; ++i) {
                __global float *row = dk + (((long)b * keys + first + i) * heads + h) * size;
                for (int d = 0; d < 32; d += 16) {
                    store_edge(vload16(0, dk_sums + i * 32 + d), row + d, size - d);
                }
            }
            for (int i = 0; i < count; ++i) {
                __global float *row = dv + (((long)b * keys + first + i) * heads + h) * out_size;
                for (int d = 0; d < 32; d += 16) {
                    store_edge(vload16(0, dv_sums + i * 32 + d), row + d, out_size - d);
                }
            }
        }
    }
}
