// model/gru_grad_layer: gru_grad
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gru_grad_layer_gru_grad_turned(
    __global const float *recurrent,
    const long recurrent_start,
    __global const float *kernel_,
    const long kernel__start,
    __global float *scratch,
    const long scratch_start,
    const long recurrent_turned_at,
    const long kernel_turned_at,
    const int features,
    const int units,
    const int blocks)
{
    recurrent += recurrent_start;
    kernel_ += kernel__start;
    scratch += scratch_start;
    __global float *recurrent_turned = scratch + recurrent_turned_at;
    __global float *kernel_turned = scratch + kernel_turned_at;
    const int slot = get_group_id(0) / blocks;
    const int unit = get_group_id(0) % blocks * 16;
    const int count = min(16, units - unit);
    const int depth = 3 * blocks * 16;
    const int k = slot * blocks * 16 + unit;
    for (int row = 0; row < (units + 63) / 64 * 64; ++row) {
        __global float *target = recurrent_turned + ((long)(row / 64) * depth + k) * 64 + row % 64;
        const __global float *from = recurrent + ((long)row * 3 + slot) * units + unit;
        const int known = row < units ? count : 0;
        for (int j = 0; j < known; ++j) target[j * 64] = from[j];
        for (int j = known; j < 16; ++j) target[j * 64] = 0;
    }
    for (int row = 0; row < (features + 63) / 64 * 64; ++row) {
        __global float *target = kernel_turned + ((long)(row / 64) * depth + k) * 64 + row % 64;
        const __global float *from = kernel_ + ((long)row * 3 + slot) * units + unit;
        const int known = row < features ? count : 0;
        for (int j = 0; j < known; ++j) target[j * 64] = from[j];
        for (int j = known; j < 16; ++j) target[j * 64] = 0;
    }
}

// model/gru_grad_layer: gru_grad
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
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gru_grad_layer_gru_grad_steps(
    __global const float *g_hidden,
    const long g_hidden_start,
    __global const float *x,
    const long x_start,
    __global const float *h0,
    const long h0_start,
    __global const uchar *mask,
    const long mask_start,
    __global const float *hidden,
    const long hidden_start,
    __global const float *gates,
    const long gates_start,
    __global float *dh0,
    const long dh0_start,
    __global float *scratch,
    const long scratch_start,
    const long recurrent_turned_at,
    const long slopes_at,
    const long befores_at,
    const long dh_at,
    const long kept_dh_at,
    const int steps,
    const int batch,
    const int features,
    const int units,
    const int item_rows,
    const int blocks,
    const int tall,
    const int first_step,
    const int direction)
{
    g_hidden += g_hidden_start;
    x += x_start;
    h0 += h0_start;
    mask += mask_start;
    hidden += hidden_start;
    gates += gates_start;
    dh0 += dh0_start;
    scratch += scratch_start;
    __global float *recurrent_turned = scratch + recurrent_turned_at;
    __global float *slopes = scratch + slopes_at;
    __global float *befores = scratch + befores_at;
    __global float *dh = scratch + dh_at;
    __global float *kept_dh = scratch + kept_dh_at;
    const int first = get_group_id(0) * item_rows;
    const int rows = min(item_rows, batch - first);
    const int padded = blocks * 16;
    const int wide = (units + 63) / 64 * 64;
    dh += (long)first * wide;
    kept_dh += (long)first * wide;
    for (int row = 0; row < item_rows; ++row) {
        for (int unit = 0; unit < wide; unit += 16) {
            vstore16((float16)(0.0f), 0, dh + row * wide + unit);
            vstore16((float16)(0.0f), 0, kept_dh + row * wide + unit);
        }
    }
    for (int turn = 0; turn < steps; ++turn) {
        const int t = first_step + turn * direction;
        const int initial = turn + 1 == steps;
        const __global float *h_before = initial ? h0 : hidden + (long)(t + direction) * batch * units;
        for (int row = 0; row < rows; ++row) {
            const long at = (long)t * batch + first + row;
            for (int unit = 0; unit < padded; unit += 16) {
                const long place = at * units + unit;
                const int block = unit / 16;
                float16 to_h = vload16(0, dh + row * wide + unit);
                to_h += load_edge(g_hidden + place, units - unit);
                if (!mask[at]) {
                    vstore16(to_h, 0, dh + row * wide + unit);
                    vstore16((float16)(0.0f), 0, slopes + ((long)((block + 0 * blocks) / 4) * tall + at) * 64 + (block + 0 * blocks) % 4 * 16);
                    vstore16((float16)(0.0f), 0, slopes + ((long)((block + 1 * blocks) / 4) * tall + at) * 64 + (block + 1 * blocks) % 4 * 16);
                    vstore16((float16)(0.0f), 0, slopes + ((long)((block + 2 * blocks) / 4) * tall + at) * 64 + (block + 2 * blocks) % 4 * 16);
                    continue;
                }
                const __global float *gate = gates + (place - unit) * 3 + unit;
                const float16 z = load_edge(gate + 0 * units, units - unit);
                const float16 r = load_edge(gate + 1 * units, units - unit);
                const float16 g = load_edge(gate + 2 * units, units - unit);
                const float16 h_old = load_edge(h_before + (long)(first + row) * units + unit, units - unit);
                vstore16(to_h * (h_old - g) * (z * (1.0f - z)), 0, slopes + ((long)((block + 0 * blocks) / 4) * tall + at) * 64 + (block + 0 * blocks) % 4 * 16);
                vstore16(to_h * (1.0f - z) * (1.0f - g * g), 0, slopes + ((long)((block + 2 * blocks) / 4) * tall + at) * 64 + (block + 2 * blocks) % 4 * 16);
                vstore16(to_h * z, 0, dh + row * wide + unit);
            }
            for (int f = 0; f < features; f += 16) {
                vstore16(load_edge(x + at * features + f, features - f), 0, befores + ((long)(f / 16) * steps * batch + at) * 16);
            }
            const int above = (features + 15) / 16 * 16;
            for (int unit = 0; unit < padded; unit += 16) {
                vstore16(load_edge(h_before + (long)(first + row) * units + unit, units - unit), 0, befores + ((long)((above + unit) / 16) * steps * batch + at) * 16);
            }
        }
        for (int column = 0; column < wide; column += 64) {
            for (int part = 2 * padded; part < 3 * padded; part += 128) {
                const int end = min(part + 128, 3 * padded);
                for (int row = 0; row < rows; row += 4) {
                    __global float *target = kept_dh + row * wide + column;
                    float16 acc0_0 = vload16(0, target + 0 * wide + 0 * 16);
                    float16 acc0_1 = vload16(0, target + 0 * wide + 1 * 16);
                    float16 acc0_2 = vload16(0, target + 0 * wide + 2 * 16);
                    float16 acc0_3 = vload16(0, target + 0 * wide + 3 * 16);
                    float16 acc1_0 = vload16(0, target + 1 * wide + 0 * 16);
                    float16 acc1_1 = vload16(0, target + 1 * wide + 1 * 16);
                    float16 acc1_2 = vload16(0, target + 1 * wide + 2 * 16);
                    float16 acc1_3 = vload16(0, target + 1 * wide + 3 * 16);
                    float16 acc2_0 = vload16(0, target + 2 * wide + 0 * 16);
                    float16 acc2_1 = vload16(0, target + 2 * wide + 1 * 16);
                    float16 acc2_2 = vload16(0, target + 2 * wide + 2 * 16);
                    float16 acc2_3 = vload16(0, target + 2 * wide + 3 * 16);
                    float16 acc3_0 = vload16(0, target + 3 * wide + 0 * 16);
                    float16 acc3_1 = vload16(0, target + 3 * wide + 1 * 16);
                    float16 acc3_2 = vload16(0, target + 3 * wide + 2 * 16);
                    float16 acc3_3 = vload16(0, target + 3 * wide + 3 * 16);
                    for (int k0 = part; k0 < end; k0 += 64) {
                        const __global float *s0 = slopes + ((long)(k0 / 64) * tall + (long)t * batch + first + min(row + 0, rows - 1)) * 64;
                        const __global float *s1 = slopes + ((long)(k0 / 64) * tall + (long)t * batch + first + min(row + 1, rows - 1)) * 64;
                        const __global float *s2 = slopes + ((long)(k0 / 64) * tall + (long)t * batch + first + min(row + 2, rows - 1)) * 64;
                        const __global float *s3 = slopes + ((long)(k0 / 64) * tall + (long)t * batch + first + min(row + 3, rows - 1)) * 64;
                        const __global float *weights = recurrent_turned + (long)column * 3 * padded + k0 * 64;
                        for (int k = 0; k < 64; ++k) {
                            const float16 b0 = vload16(0, weights + k * 64 + 0);
                            const float16 b1 = vload16(0, weights + k * 64 + 16);
                            const float16 b2 = vload16(0, weights + k * 64 + 32);
                            const float16 b3 = vload16(0, weights + k * 64 + 48);
                            const float16 a0 = (float16)(s0[k]);
                            acc0_0 = fma(a0, b0, acc0_0);
                            acc0_1 = fma(a0, b1, acc0_1);
                            acc0_2 = fma(a0, b2, acc0_2);
                            acc0_3 = fma(a0, b3, acc0_3);
                            const float16 a1 = (float16)(s1[k]);
                            acc1_0 = fma(a1, b0, acc1_0);
                            acc1_1 = fma(a1, b1, acc1_1);
                            acc1_2 = fma(a1, b2, acc1_2);
                            acc1_3 = fma(a1, b3, acc1_3);
                            const float16 a2 = (float16)(s2[k]);
                            acc2_0 = fma(a2, b0, acc2_0);
                            acc2_1 = fma(a2, b1, acc2_1);
                            acc2_2 = fma(a2, b2, acc2_2);
                            acc2_3 = fma(a2, b3, acc2_3);
                            const float16 a3 = (float16)(s3[k]);
                            acc3_0 = fma(a3, b0, acc3_0);
                            acc3_1 = fma(a3, b1, acc3_1);
                            acc3_2 = fma(a3, b2, acc3_2);
                            acc3_3 = fma(a3, b3, acc3_3);
                        }
                    }
                    vstore16(acc0_0, 0, target + 0 * wide + 0);
                    vstore16(acc0_1, 0, target + 0 * wide + 16);
                    vstore16(acc0_2, 0, target + 0 * wide + 32);
                    vstore16(acc0_3, 0, target + 0 * wide + 48);
                    vstore16(acc1_0, 0, target + 1 * wide + 0);
                    vstore16(acc1_1, 0, target + 1 * wide + 16);
                    vstore16(acc1_2, 0, target + 1 * wide + 32);
                    vstore16(acc1_3, 0, target + 1 * wide + 48);
                    vstore16(acc2_0, 0, target + 2 * wide + 0);
                    vstore16(acc2_1, 0, target + 2 * wide + 16);
                    vstore16(acc2_2, 0, target + 2 * wide + 32);
                    vstore16(acc2_3, 0, target + 2 * wide + 48);
                    vstore16(acc3_0, 0, target + 3 * wide + 0);
                    vstore16(acc3_1, 0, target + 3 * wide + 16);
                    vstore16(acc3_2, 0, target + 3 * wide + 32);
                    vstore16(acc3_3, 0, target + 3 * wide + 48);
                }
            }
        }
        for (int row = 0; row < rows; ++row) {
            const long at = (long)t * batch + first + row;
            for (int unit = 0; unit < padded; unit += 16) {
                const int block = unit / 16;
                const float16 r = load_edge(gates + (at * 3 + 1) * units + unit, units - unit);
                const float16 h_old = load_edge(h_before + (long)(first + row) * units + unit, units - unit);
                const float16 to_kept = vload16(0, kept_dh + row * wide + unit);
                vstore16(to_kept * h_old * (r * (1.0f - r)), 0, slopes + ((long)((block + 1 * blocks) / 4) * tall + at) * 64 + (block + 1 * blocks) % 4 * 16);
                vstore16(vload16(0, dh + row * wide + unit) + to_kept * r, 0, dh + row * wide + unit);
                vstore16((float16)(0.0f), 0, kept_dh + row * wide + unit);
                vstore16(r * h_old, 0, befores + ((long)(((features + 15) / 16 * 16 + padded + unit) / 16) * steps * batch + at) * 16);
            }
        }
        for (int column = 0; column < wide; column += 64) {
            for (int part = 0; part < 2 * padded; part += 128) {
                const int end = min(part + 128, 2 * padded);
                for (int row = 0; row < rows; row += 4) {
                    __global float *target = dh + row * wide + column;
                    float16 acc0_0 = vload16(0, target + 0 * wide + 0 * 16);
                    float16 acc0_1 = vload16(0, target + 0 * wide + 1 * 16);
                    float16 acc0_2 = vload16(0, target + 0 * wide + 2 * 16);
                    float16 acc0_3 = vload16(0, target + 0 * wide + 3 * 16);
                    float16 acc1_0 = vload16(0, target + 1 * wide + 0 * 16);
                    float16 acc1_1 = vload16(0, target + 1 * wide + 1 * 16);
                    float16 acc1_2 = vload16(0, target + 1 * wide + 2 * 16);
                    float16 acc1_3 = vload16(0, target + 1 * wide + 3 * 16);
                    float16 acc2_0 = vload16(0, target + 2 * wide + 0 * 16);
                    float16 acc2_1 = vload16(0, target + 2 * wide + 1 * 16);
                    float16 acc2_2 = vload16(0, target + 2 * wide + 2 * 16);
                    float16 acc2_3 = vload16(0, target + 2 * wide + 3 * 16);
                    float16 acc3_0 = vload16(0, target + 3 * wide + 0 * 16);
                    float16 acc3_1 = vload16(0, target + 3 * wide + 1 * 16);
                    float16 acc3_2 = vload16(0, target + 3 * wide + 2 * 16);
                    float16 acc3_3 = vload16(0, target + 3 * wide + 3 * 16);
                    for (int k0 = part; k0 < end; k0 += 64) {
                        const __global float *s0 = slopes + ((long)(k0 / 64) * tall + (long)t * batch + first + min(row + 0, rows - 1)) * 64;
                        const __global float *s1 = slopes + ((long)(k0 / 64) * tall + (long)t * batch + first + min(row + 1, rows - 1)) * 64;
                        const __global float *s2 = slopes + ((long)(k0 / 64) * tall + (long)t * batch + first + min(row + 2, rows - 1)) * 64;
                        const __global float *s3 = slopes + ((long)(k0 / 64) * tall + (long)t * batch + first + min(row + 3, rows - 1)) * 64;
                        const __global float *weights = recurrent_turned + (long)column * 3 * padded + k0 * 64;
                        for (int k = 0; k < 64; ++k) {
                            const float16 b0 = vload16(0, weights + k * 64 + 0);
                            const float16 b1 = vload16(0, weights + k * 64 + 16);
                            const float16 b2 = vload16(0, weights + k * 64 + 32);
                            const float16 b3 = vload16(0, weights + k * 64 + 48);
                            const float16 a0 = (float16)(s0[k]);
                            acc0_0 = fma(a0, b0, acc0_0);
                            acc0_1 = fma(a0, b1, acc0_1);
                            acc0_2 = fma(a0, b2, acc0_2);
                            acc0_3 = fma(a0, b3, acc0_3);
                            const float16 a1 = (float16)(s1[k]);
                            acc1_0 = fma(a1, b0, acc1_0);
                            acc1_1 = fma(a1, b1, acc1_1);
                            acc1_2 = fma(a1, b2, acc1_2);
                            acc1_3 = fma(a1, b3, acc1_3);
                            const float16 a2 = (float16)(s2[k]);
                            acc2_0 = fma(a2, b0, acc2_0);
                            acc2_1 = fma(a2, b1, acc2_1);
                            acc2_2 = fma(a2, b2, acc2_2);
                            acc2_3 = fma(a2, b3, acc2_3);
                            const float16 a3 = (float16)(s3[k]);
                            acc3_0 = fma(a3, b0, acc3_0);
                            acc3_1 = fma(a3, b1, acc3_1);
                            acc3_2 = fma(a3, b2, acc3_2);
                            acc3_3 = fma(a3, b3, acc3_3);
                        }
                    }
                    vstore16(acc0_0, 0, target + 0 * wide + 0);
                    vstore16(acc0_1, 0, target + 0 * wide + 16);
                    vstore16(acc0_2, 0, target + 0 * wide + 32);
                    vstore16(acc0_3, 0, target + 0 * wide + 48);
                    vstore16(acc1_0, 0, target + 1 * wide + 0);
                    vstore16(acc1_1, 0, target + 1 * wide + 16);
                    vstore16(acc1_2, 0, target + 1 * wide + 32);
                    vstore16(acc1_3, 0, target + 1 * wide + 48);
                    vstore16(acc2_0, 0, target + 2 * wide + 0);
                    vstore16(acc2_1, 0, target + 2 * wide + 16);
                    vstore16(acc2_2, 0, target + 2 * wide + 32);
                    vstore16(acc2_3, 0, target + 2 * wide + 48);
                    vstore16(acc3_0, 0, target + 3 * wide + 0);
                    vstore16(acc3_1, 0, target + 3 * wide + 16);
                    vstore16(acc3_2, 0, target + 3 * wide + 32);
                    vstore16(acc3_3, 0, target + 3 * wide + 48);
                }
            }
        }
    }
    for (int row = 0; row < rows; ++row) {
        for (int unit = 0; unit < padded; unit += 16) {
            const long at = (long)(first + row) * units + unit;
            store_edge(vload16(0, dh + row * wide + unit), dh0 + at, units - unit);
        }
    }
}

// model/gru_grad_layer: gru_grad
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
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gru_grad_layer_gru_grad_inputs(
    __global float *dx,
    const long dx_start,
    __global float *scratch,
    const long scratch_start,
    const long kernel_turned_at,
    const long slopes_at,
    const int rows,
    const int tall,
    const int item_rows,
    const int features,
    const int depth)
{
    dx += dx_start;
    scratch += scratch_start;
    __global float *kernel_turned = scratch + kernel_turned_at;
    __global float *slopes = scratch + slopes_at;
    const int first = get_group_id(0) * item_rows;
    const int end = min(first + item_rows, rows);
    for (int column = 0; column < features; column += 64) {
        for (int row = first; row < end; row += 6) {
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
            float16 acc4_0 = (float16)(0.0f);
            float16 acc4_1 = (float16)(0.0f);
            float16 acc4_2 = (float16)(0.0f);
            float16 acc4_3 = (float16)(0.0f);
            float16 acc5_0 = (float16)(0.0f);
            float16 acc5_1 = (float16)(0.0f);
            float16 acc5_2 = (float16)(0.0f);
            float16 acc5_3 = (float16)(0.0f);
            for (int k0 = 0; k0 < depth; k0 += 64) {
                const __global float *s = slopes + ((long)(k0 / 64) * tall + row) * 64;
                const __global float *weights = kernel_turned + (long)column * depth + k0 * 64;
                for (int k = 0; k < 64; ++k) {
                    const float16 b0 = vload16(0, weights + k * 64 + 0);
                    const float16 b1 = vload16(0, weights + k * 64 + 16);
                    const float16 b2 = vload16(0, weights + k * 64 + 32);
                    const float16 b3 = vload16(0, weights + k * 64 + 48);
                    const float16 a0 = (float16)(s[0 * 64 + k]);
                    acc0_0 = fma(a0, b0, acc0_0);
                    acc0_1 = fma(a0, b1, acc0_1);
                    acc0_2 = fma(a0, b2, acc0_2);
                    acc0_3 = fma(a0, b3, acc0_3);
                    const float16 a1 = (float16)(s[1 * 64 + k]);
                    acc1_0 = fma(a1, b0, acc1_0);
                    acc1_1 = fma(a1, b1, acc1_1);
                    acc1_2 = fma(a1, b2, acc1_2);
                    acc1_3 = fma(a1, b3, acc1_3);
                    const float16 a2 = (float16)(s[2 * 64 + k]);
                    acc2_0 = fma(a2, b0, acc2_0);
                    acc2_1 = fma(a2, b1, acc2_1);
                    acc2_2 = fma(a2, b2, acc2_2);
                    acc2_3 = fma(a2, b3, acc2_3);
                    const float16 a3 = (float16)(s[3 * 64 + k]);
                    acc3_0 = fma(a3, b0, acc3_0);
                    acc3_1 = fma(a3, b1, acc3_1);
                    acc3_2 = fma(a3, b2, acc3_2);
                    acc3_3 = fma(a3, b3, acc3_3);
                    const float16 a4 = (float16)(s[4 * 64 + k]);
                    acc4_0 = fma(a4, b0, acc4_0);
                    acc4_1 = fma(a4, b1, acc4_1);
                    acc4_2 = fma(a4, b2, acc4_2);
                    acc4_3 = fma(a4, b3, acc4_3);
                    const float16 a5 = (float16)(s[5 * 64 + k]);
                    acc5_0 = fma(a5, b0, acc5_0);
                    acc5_1 = fma(a5, b1, acc5_1);
                    acc5_2 = fma(a5, b2, acc5_2);
                    acc5_3 = fma(a5, b3, acc5_3);
                }
            }
            if (row + 0 < rows) {
                __global float *target = dx + (long)(row + 0) * features + column;
                store_edge(acc0_0, target, features - column);
                store_edge(acc0_1, target + 16, features - column - 16);
                store_edge(acc0_2, target + 32, features - column - 32);
                store_edge(acc0_3, target + 48, features - column - 48);
            }
            if (row + 1 < rows) {
                __global float *target = dx + (long)(row + 1) * features + column;
                store_edge(acc1_0, target, features - column);
                store_edge(acc1_1, target + 16, features - column - 16);
                store_edge(acc1_2, target + 32, features - column - 32);
                store_edge(acc1_3, target + 48, features - column - 48);
            }
            if (row + 2 < rows) {
                __global float *target = dx + (long)(row + 2) * features + column;
                store_edge(acc2_0, target, features - column);
                store_edge(acc2_1, target + 16, features - column - 16);
                store_edge(acc2_2, target + 32, features - column - 32);
                store_edge(acc2_3, target + 48, features - column - 48);
            }
            if (row + 3 < rows) {
                __global float *target = dx + (long)(row + 3) * features + column;
                store_edge(acc3_0, target, features - column);
                store_edge(acc3_1, target + 16, features - column - 16);
                store_edge(acc3_2, target + 32, features - column - 32);
                store_edge(acc3_3, target + 48, features - column - 48);
            }
            if (row + 4 < rows) {
                __global float *target = dx + (long)(row + 4) * features + column;
                store_edge(acc4_0, target, features - column);
                store_edge(acc4_1, target + 16, features - column - 16);
                store_edge(acc4_2, target + 32, features - column - 32);
                store_edge(acc4_3, target + 48, features - column - 48);
            }
            if (row + 5 < rows) {
                __global float *target = dx + (long)(row + 5) * features + column;
                store_edge(acc5_0, target, features - column);
                store_edge(acc5_1, target + 16, features - column - 16);
                store_edge(acc5_2, target + 32, features - column - 32);
                store_edge(acc5_3, target + 48, features - column - 48);
            }
        }
    }
}

// model/gru_grad_layer: gru_grad
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
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gru_grad_layer_gru_grad_weights(
    __global float *d_kernel,
    const long d_kernel_start,
    __global float *d_recurrent,
    const long d_recurrent_start,
    __global float *d_bias,
    const long d_bias_start,
    __global float *scratch,
    const long scratch_start,
    const long slopes_at,
    const long befores_at,
    const long sums_at,
    const int rows,
    const int tall,
    const int features,
    const int units,
    const int padded,
    const int x_strips,
    const int strips)
{
    d_kernel += d_kernel_start;
    d_recurrent += d_recurrent_start;
    d_bias += d_bias_start;
    scratch += scratch_start;
    __global float *slopes = scratch + slopes_at;
    __global float *befores = scratch + befores_at;
    __global float *sums = scratch + sums_at;
    const int panel = get_group_id(0) / strips;
    const int strip = get_group_id(0) % strips;
    const int inputs = strip < x_strips;
    const int above = inputs ? features : units;
    const int top = (inputs ? strip : strip - x_strips) * 128;
    const int end = min(top + 128, above);
    const int skipped = inputs ? 0 : (features + 15) / 16 + (panel * 64 < 2 * padded ? 0 : padded / 16);
    slopes += (long)panel * tall * 64;
    befores += ((long)skipped * 16 + top) * rows;
    sums += (long)get_group_id(0) * 8192;
    for (int i = 0; i < (end - top + 15) / 16 * 1024; i += 16)
        vstore16((float16)(0.0f), 0, sums + i);
    float16 bias0 = (float16)(0.0f);
    float16 bias1 = (float16)(0.0f);
    float16 bias2 = (float16)(0.0f);
    float16 bias3 = (float16)(0.0f);
    for (int row = 0; row < rows; row += 128) {
        const int count = min(128, rows - row);
        const __global float *slope = slopes + (long)row * 64;
        if (strip == 0) {
            for (int i = 0; i < count; ++i) {
                bias0 += vload16(0, slope + i * 64 + 0);
                bias1 += vload16(0, slope + i * 64 + 16);
                bias2 += vload16(0, slope + i * 64 + 32);
                bias3 += vload16(0, slope + i * 64 + 48);
            }
        }
        for (int f = top; f < end; f += 4) {
            __global float *target = sums + (f - top) * 64;
            const __global float *left = befores + ((long)((f - top) / 16) * rows + row) * 16 + (f - top) % 16;
            float16 acc0_0 = vload16(0, target + 0 * 64 + 0 * 16);
            float16 acc0_1 = vload16(0, target + 0 * 64 + 1 * 16);
            float16 acc0_2 = vload16(0, target + 0 * 64 + 2 * 16);
            float16 acc0_3 = vload16(0, target + 0 * 64 + 3 * 16);
            float16 acc1_0 = vload16(0, target + 1 * 64 + 0 * 16);
            float16 acc1_1 = vload16(0, target + 1 * 64 + 1 * 16);
            float16 acc1_2 = vload16(0, target + 1 * 64 + 2 * 16);
            float16 acc1_3 = vload16(0, target + 1 * 64 + 3 * 16);
            float16 acc2_0 = vload16(0, target + 2 * 64 + 0 * 16);
            float16 acc2_1 = vload16(0, target + 2 * 64 + 1 * 16);
            float16 acc2_2 = vload16(0, target + 2 * 64 + 2 * 16);
            float16 acc2_3 = vload16(0, target + 2 * 64 + 3 * 16);
            float16 acc3_0 = vload16(0, target + 3 * 64 + 0 * 16);
            float16 acc3_1 = vload16(0, target + 3 * 64 + 1 * 16);
            float16 acc3_2 = vload16(0, target + 3 * 64 + 2 * 16);
            float16 acc3_3 = vload16(0, target + 3 * 64 + 3 * 16);
            for (int k = 0; k < count; ++k) {
                const float16 b0 = vload16(0, slope + k * 64 + 0);
                const float16 b1 = vload16(0, slope + k * 64 + 16);
                const float16 b2 = vload16(0, slope + k * 64 + 32);
                const float16 b3 = vload16(0, slope + k * 64 + 48);
                const float16 a0 = (float16)(left[k * 16 + 0]);
                acc0_0 = fma(a0, b0, acc0_0);
                acc0_1 = fma(a0, b1, acc0_1);
                acc0_2 = fma(a0, b2, acc0_2);
                acc0_3 = fma(a0, b3, acc0_3);
                const float16 a1 = (float16)(left[k * 16 + 1]);
                acc1_0 = fma(a1, b0, acc1_0);
                acc1_1 = fma(a1, b1, acc1_1);
                acc1_2 = fma(a1, b2, acc1_2);
                acc1_3 = fma(a1, b3, acc1_3);
                const float16 a2 = (float16)(left[k * 16 + 2]);
                acc2_0 = fma(a2, b0, acc2_0);
                acc2_1 = fma(a2, b1, acc2_1);
                acc2_2 = fma(a2, b2, acc2_2);
                acc2_3 = fma(a2, b3, acc2_3);
                const float16 a3 = (float16)(left[k * 16 + 3]);
                acc3_0 = fma(a3, b0, acc3_0);
                acc3_1 = fma(a3, b1, acc3_1);
                acc3_2 = fma(a3, b2, acc3_2);
                acc3_3 = fma(a3, b3, acc3_3);
            }
            vstore16(acc0_0, 0, target + 0);
            vstore16(acc0_1, 0, target + 16);
            vstore16(acc0_2, 0, target + 32);
            vstore16(acc0_3, 0, target + 48);
            vstore16(acc1_0, 0, target + 64);
            vstore16(acc1_1, 0, target + 80);
            vstore16(acc1_2, 0, target + 96);
            vstore16(acc1_3, 0, target + 112);
            vstore16(acc2_0, 0, target + 128);
            vstore16(acc2_1, 0, target + 144);
            vstore16(acc2_2, 0, target + 160);
            vstore16(acc2_3, 0, target + 176);
            vstore16(acc3_0, 0, target + 192);
            vstore16(acc3_1, 0, target + 208);
            vstore16(acc3_2, 0, target + 224);
            vstore16(acc3_3, 0, target + 240);
        }
    }
    for (int f = top; f < end; ++f) {
        for (int v = 0; v < 4; ++v) {
            const int column = panel * 64 + v * 16;
            const int slot = column / padded;
            const int unit = column % padded;
            if (inputs) store_edge(vload16(0, sums + (f - top) * 64 + v * 16), d_kernel + ((long)f * 3 + slot) * units + unit, units - unit);
            if (!inputs) store_edge(vload16(0, sums + (f - top) * 64 + v * 16), d_recurrent + ((long)f * 3 + slot) * units + unit, units - unit);
        }
    }
    if (strip == 0) {
        const int column = panel * 64 + 0;
        const int slot = column / padded, unit = column % padded;
        store_edge(bias0, d_bias + slot * units + unit, units - unit);
    }
    if (strip == 0) {
        const int column = panel * 64 + 16;
        const int slot = column / padded, unit = column % padded;
        store_edge(bias1, d_bias + slot * units + unit, units - unit);
    }
    if (strip == 0) {
        const int column = panel * 64 + 32;
        const int slot = column / padded, unit = column % padded;
        store_edge(bias2, d_bias + slot * units + unit, units - unit);
    }
    if (strip == 0) {
        const int column = panel * 64 + 48;
        const int slot = column / padded, unit = column % padded;
        store_edge(bias3, d_bias + slot * units + unit, units - unit);
    }
}
