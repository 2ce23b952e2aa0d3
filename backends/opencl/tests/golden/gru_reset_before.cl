// model/gru_layer: gru
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
void gru_layer_gru_pack(
    __global const float *kernel_,
    const long kernel__start,
    __global const float *recurrent,
    const long recurrent_start,
    __global const float *bias,
    const long bias_start,
    __global float *scratch,
    const long scratch_start,
    const long kernel_packed_at,
    const long packed_at,
    const long offsets_at,
    const int features,
    const int units)
{
    kernel_ += kernel__start;
    recurrent += recurrent_start;
    bias += bias_start;
    scratch += scratch_start;
    __global float *kernel_packed = scratch + kernel_packed_at;
    __global float *packed = scratch + packed_at;
    __global float *offsets = scratch + offsets_at;
    const int block = get_group_id(0);
    const int unit = block * 16;
    kernel_packed += (long)block * features * 48;
    packed += (long)block * units * 48;
    offsets += block * 48;
    for (int k = 0; k < features; ++k) {
        const __global float *row = kernel_ + (long)k * 3 * units;
        vstore16(load_edge(row + 0 * units + unit, units - unit), 0, kernel_packed + k * 48 + 0);
        vstore16(load_edge(row + 1 * units + unit, units - unit), 0, kernel_packed + k * 48 + 16);
        vstore16(load_edge(row + 2 * units + unit, units - unit), 0, kernel_packed + k * 48 + 32);
    }
    for (int k = 0; k < units; ++k) {
        const __global float *row = recurrent + (long)k * 3 * units;
        vstore16(load_edge(row + 0 * units + unit, units - unit), 0, packed + k * 48 + 0);
        vstore16(load_edge(row + 1 * units + unit, units - unit), 0, packed + k * 48 + 16);
        vstore16(load_edge(row + 2 * units + unit, units - unit), 0, packed + k * 48 + 32);
    }
    vstore16(load_edge(bias + 0 * units + unit, units - unit), 0, offsets + 0);
    vstore16(load_edge(bias + 1 * units + unit, units - unit), 0, offsets + 16);
    vstore16(load_edge(bias + 2 * units + unit, units - unit), 0, offsets + 32);
}

// model/gru_layer: gru
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
static inline float16 sigmoid(const float16 z) { return 1.0f / (1.0f + exp(-z)); }
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void gru_layer_gru(
    __global const float *x,
    const long x_start,
    __global const float *h0,
    const long h0_start,
    __global const uchar *mask,
    const long mask_start,
    __global float *hidden,
    const long hidden_start,
    __global float *last_h,
    const long last_h_start,
    __global float *gates,
    const long gates_start,
    __global float *scratch,
    const long scratch_start,
    const long kernel_packed_at,
    const long packed_at,
    const long offsets_at,
    const long through_at,
    const long states_at,
    const long kept_state_at,
    const int steps,
    const int batch,
    const int features,
    const int units,
    const int item_rows,
    const int blocks,
    const int first_step,
    const int direction)
{
    x += x_start;
    h0 += h0_start;
    mask += mask_start;
    hidden += hidden_start;
    last_h += last_h_start;
    gates += gates_start;
    scratch += scratch_start;
    __global float *kernel_packed = scratch + kernel_packed_at;
    __global float *packed = scratch + packed_at;
    __global float *offsets = scratch + offsets_at;
    __global float *through = scratch + through_at;
    __global float *states = scratch + states_at;
    __global float *kept_state = scratch + kept_state_at;
    const int first = get_group_id(0) * item_rows;
    const int rows = min(item_rows, batch - first);
    const int padded = blocks * 16;
    through += (long)first * 8 * blocks * 48;
    __global float *state = states + (long)first * 2 * padded;
    __global float *next_state = state + item_rows * padded;
    kept_state += (long)first * padded;
    for (int row = 0; row < item_rows; ++row) {
        for (int unit = 0; unit < padded; unit += 16) {
            const long from = (long)(first + min(row, rows - 1)) * units + unit;
            vstore16(load_edge(h0 + from, units - unit), 0, state + row * padded + unit);
        }
    }
    for (int done = 0; done < steps; done += 8) {
        const int turns = min(8, steps - done);
        for (int block = 0; block < blocks; ++block) {
            const __global float *weights = kernel_packed + (long)block * features * 48;
            for (int turn = 0; turn < turns; ++turn) {
                const int t = first_step + (done + turn) * direction;
                for (int row = 0; row < rows; row += 8) {
                    const __global float *x0 = x + ((long)t * batch + first + min(row + 0, rows - 1)) * features;
                    const __global float *x1 = x + ((long)t * batch + first + min(row + 1, rows - 1)) * features;
                    const __global float *x2 = x + ((long)t * batch + first + min(row + 2, rows - 1)) * features;
                    const __global float *x3 = x + ((long)t * batch + first + min(row + 3, rows - 1)) * features;
                    const __global float *x4 = x + ((long)t * batch + first + min(row + 4, rows - 1)) * features;
                    const __global float *x5 = x + ((long)t * batch + first + min(row + 5, rows - 1)) * features;
                    const __global float *x6 = x + ((long)t * batch + first + min(row + 6, rows - 1)) * features;
                    const __global float *x7 = x + ((long)t * batch + first + min(row + 7, rows - 1)) * features;
                    float16 acc0_0 = vload16(0, offsets + block * 48 + 0 * 16);
                    float16 acc0_1 = vload16(0, offsets + block * 48 + 1 * 16);
                    float16 acc0_2 = vload16(0, offsets + block * 48 + 2 * 16);
                    float16 acc1_0 = vload16(0, offsets + block * 48 + 0 * 16);
                    float16 acc1_1 = vload16(0, offsets + block * 48 + 1 * 16);
                    float16 acc1_2 = vload16(0, offsets + block * 48 + 2 * 16);
                    float16 acc2_0 = vload16(0, offsets + block * 48 + 0 * 16);
                    float16 acc2_1 = vload16(0, offsets + block * 48 + 1 * 16);
                    float16 acc2_2 = vload16(0, offsets + block * 48 + 2 * 16);
                    float16 acc3_0 = vload16(0, offsets + block * 48 + 0 * 16);
                    float16 acc3_1 = vload16(0, offsets + block * 48 + 1 * 16);
                    float16 acc3_2 = vload16(0, offsets + block * 48 + 2 * 16);
                    float16 acc4_0 = vload16(0, offsets + block * 48 + 0 * 16);
                    float16 acc4_1 = vload16(0, offsets + block * 48 + 1 * 16);
                    float16 acc4_2 = vload16(0, offsets + block * 48 + 2 * 16);
                    float16 acc5_0 = vload16(0, offsets + block * 48 + 0 * 16);
                    float16 acc5_1 = vload16(0, offsets + block * 48 + 1 * 16);
                    float16 acc5_2 = vload16(0, offsets + block * 48 + 2 * 16);
                    float16 acc6_0 = vload16(0, offsets + block * 48 + 0 * 16);
                    float16 acc6_1 = vload16(0, offsets + block * 48 + 1 * 16);
                    float16 acc6_2 = vload16(0, offsets + block * 48 + 2 * 16);
                    float16 acc7_0 = vload16(0, offsets + block * 48 + 0 * 16);
                    float16 acc7_1 = vload16(0, offsets + block * 48 + 1 * 16);
                    float16 acc7_2 = vload16(0, offsets + block * 48 + 2 * 16);
                    for (int k = 0; k < features; ++k) {
                        const float16 b0 = vload16(0, weights + k * 48 + 0);
                        const float16 b1 = vload16(0, weights + k * 48 + 16);
                        const float16 b2 = vload16(0, weights + k * 48 + 32);
                        const float16 a0 = (float16)(x0[k]);
                        acc0_0 = fma(a0, b0, acc0_0);
                        acc0_1 = fma(a0, b1, acc0_1);
                        acc0_2 = fma(a0, b2, acc0_2);
                        const float16 a1 = (float16)(x1[k]);
                        acc1_0 = fma(a1, b0, acc1_0);
                        acc1_1 = fma(a1, b1, acc1_1);
                        acc1_2 = fma(a1, b2, acc1_2);
                        const float16 a2 = (float16)(x2[k]);
                        acc2_0 = fma(a2, b0, acc2_0);
                        acc2_1 = fma(a2, b1, acc2_1);
                        acc2_2 = fma(a2, b2, acc2_2);
                        const float16 a3 = (float16)(x3[k]);
                        acc3_0 = fma(a3, b0, acc3_0);
                        acc3_1 = fma(a3, b1, acc3_1);
                        acc3_2 = fma(a3, b2, acc3_2);
                        const float16 a4 = (float16)(x4[k]);
                        acc4_0 = fma(a4, b0, acc4_0);
                        acc4_1 = fma(a4, b1, acc4_1);
                        acc4_2 = fma(a4, b2, acc4_2);
                        const float16 a5 = (float16)(x5[k]);
                        acc5_0 = fma(a5, b0, acc5_0);
                        acc5_1 = fma(a5, b1, acc5_1);
                        acc5_2 = fma(a5, b2, acc5_2);
                        const float16 a6 = (float16)(x6[k]);
                        acc6_0 = fma(a6, b0, acc6_0);
                        acc6_1 = fma(a6, b1, acc6_1);
                        acc6_2 = fma(a6, b2, acc6_2);
                        const float16 a7 = (float16)(x7[k]);
                        acc7_0 = fma(a7, b0, acc7_0);
                        acc7_1 = fma(a7, b1, acc7_1);
                        acc7_2 = fma(a7, b2, acc7_2);
                    }
                    __global float *target = through + ((long)(turn * blocks + block) * item_rows + row) * 48;
                    vstore16(acc0_0, 0, target + 0);
                    vstore16(acc0_1, 0, target + 16);
                    vstore16(acc0_2, 0, target + 32);
                    vstore16(acc1_0, 0, target + 48);
                    vstore16(acc1_1, 0, target + 64);
                    vstore16(acc1_2, 0, target + 80);
                    vstore16(acc2_0, 0, target + 96);
                    vstore16(acc2_1, 0, target + 112);
                    vstore16(acc2_2, 0, target + 128);
                    vstore16(acc3_0, 0, target + 144);
                    vstore16(acc3_1, 0, target + 160);
                    vstore16(acc3_2, 0, target + 176);
                    vstore16(acc4_0, 0, target + 192);
                    vstore16(acc4_1, 0, target + 208);
                    vstore16(acc4_2, 0, target + 224);
                    vstore16(acc5_0, 0, target + 240);
                    vstore16(acc5_1, 0, target + 256);
                    vstore16(acc5_2, 0, target + 272);
                    vstore16(acc6_0, 0, target + 288);
                    vstore16(acc6_1, 0, target + 304);
                    vstore16(acc6_2, 0, target + 320);
                    vstore16(acc7_0, 0, target + 336);
                    vstore16(acc7_1, 0, target + 352);
                    vstore16(acc7_2, 0, target + 368);
                }
            }
        }
        for (int turn = 0; turn < turns; ++turn) {
            const int t = first_step + (done + turn) * direction;
            for (int block = 0; block < blocks; ++block) {
                const int unit = block * 16;
                const __global float *weights = packed + (long)block * units * 48;
                for (int row = 0; row < rows; row += 8) {
                    const __global float *z = through + ((long)(turn * blocks + block) * item_rows + row) * 48;
                    float16 acc0_0 = vload16(0, z + 0 * 48 + 0 * 16);
                    float16 acc0_1 = vload16(0, z + 0 * 48 + 1 * 16);
                    float16 acc1_0 = vload16(0, z + 1 * 48 + 0 * 16);
                    float16 acc1_1 = vload16(0, z + 1 * 48 + 1 * 16);
                    float16 acc2_0 = vload16(0, z + 2 * 48 + 0 * 16);
                    float16 acc2_1 = vload16(0, z + 2 * 48 + 1 * 16);
                    float16 acc3_0 = vload16(0, z + 3 * 48 + 0 * 16);
                    float16 acc3_1 = vload16(0, z + 3 * 48 + 1 * 16);
                    float16 acc4_0 = vload16(0, z + 4 * 48 + 0 * 16);
                    float16 acc4_1 = vload16(0, z + 4 * 48 + 1 * 16);
                    float16 acc5_0 = vload16(0, z + 5 * 48 + 0 * 16);
                    float16 acc5_1 = vload16(0, z + 5 * 48 + 1 * 16);
                    float16 acc6_0 = vload16(0, z + 6 * 48 + 0 * 16);
                    float16 acc6_1 = vload16(0, z + 6 * 48 + 1 * 16);
                    float16 acc7_0 = vload16(0, z + 7 * 48 + 0 * 16);
                    float16 acc7_1 = vload16(0, z + 7 * 48 + 1 * 16);
                    const __global float *h0 = state + (row + 0) * padded;
                    const __global float *h1 = state + (row + 1) * padded;
                    const __global float *h2 = state + (row + 2) * padded;
                    const __global float *h3 = state + (row + 3) * padded;
                    const __global float *h4 = state + (row + 4) * padded;
                    const __global float *h5 = state + (row + 5) * padded;
                    const __global float *h6 = state + (row + 6) * padded;
                    const __global float *h7 = state + (row + 7) * padded;
                    for (int k = 0; k < units; ++k) {
                        const float16 b0 = vload16(0, weights + k * 48 + 0);
                        const float16 b1 = vload16(0, weights + k * 48 + 16);
                        const float16 a0 = (float16)(h0[k]);
                        acc0_0 = fma(a0, b0, acc0_0);
                        acc0_1 = fma(a0, b1, acc0_1);
                        const float16 a1 = (float16)(h1[k]);
                        acc1_0 = fma(a1, b0, acc1_0);
                        acc1_1 = fma(a1, b1, acc1_1);
                        const float16 a2 = (float16)(h2[k]);
                        acc2_0 = fma(a2, b0, acc2_0);
                        acc2_1 = fma(a2, b1, acc2_1);
                        const float16 a3 = (float16)(h3[k]);
                        acc3_0 = fma(a3, b0, acc3_0);
                        acc3_1 = fma(a3, b1, acc3_1);
                        const float16 a4 = (float16)(h4[k]);
                        acc4_0 = fma(a4, b0, acc4_0);
                        acc4_1 = fma(a4, b1, acc4_1);
                        const float16 a5 = (float16)(h5[k]);
                        acc5_0 = fma(a5, b0, acc5_0);
                        acc5_1 = fma(a5, b1, acc5_1);
                        const float16 a6 = (float16)(h6[k]);
                        acc6_0 = fma(a6, b0, acc6_0);
                        acc6_1 = fma(a6, b1, acc6_1);
                        const float16 a7 = (float16)(h7[k]);
                        acc7_0 = fma(a7, b0, acc7_0);
                        acc7_1 = fma(a7, b1, acc7_1);
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 0) * padded + unit);
                        const float16 z = sigmoid(acc0_0);
                        const float16 r = sigmoid(acc0_1);
                        const float16 kept = r * h_old;
                        vstore16(kept, 0, kept_state + (row + 0) * padded + unit);
                        vstore16(z, 0, next_state + (row + 0) * padded + unit);
                        if (row + 0 < rows) {
                            const long place = ((long)t * batch + first + row + 0) * units + unit;
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(z, gate + 0 * units, units - unit);
                            store_edge(r, gate + 1 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 1) * padded + unit);
                        const float16 z = sigmoid(acc1_0);
                        const float16 r = sigmoid(acc1_1);
                        const float16 kept = r * h_old;
                        vstore16(kept, 0, kept_state + (row + 1) * padded + unit);
                        vstore16(z, 0, next_state + (row + 1) * padded + unit);
                        if (row + 1 < rows) {
                            const long place = ((long)t * batch + first + row + 1) * units + unit;
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(z, gate + 0 * units, units - unit);
                            store_edge(r, gate + 1 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 2) * padded + unit);
                        const float16 z = sigmoid(acc2_0);
                        const float16 r = sigmoid(acc2_1);
                        const float16 kept = r * h_old;
                        vstore16(kept, 0, kept_state + (row + 2) * padded + unit);
                        vstore16(z, 0, next_state + (row + 2) * padded + unit);
                        if (row + 2 < rows) {
                            const long place = ((long)t * batch + first + row + 2) * units + unit;
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(z, gate + 0 * units, units - unit);
                            store_edge(r, gate + 1 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 3) * padded + unit);
                        const float16 z = sigmoid(acc3_0);
                        const float16 r = sigmoid(acc3_1);
                        const float16 kept = r * h_old;
                        vstore16(kept, 0, kept_state + (row + 3) * padded + unit);
                        vstore16(z, 0, next_state + (row + 3) * padded + unit);
                        if (row + 3 < rows) {
                            const long place = ((long)t * batch + first + row + 3) * units + unit;
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(z, gate + 0 * units, units - unit);
                            store_edge(r, gate + 1 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 4) * padded + unit);
                        const float16 z = sigmoid(acc4_0);
                        const float16 r = sigmoid(acc4_1);
                        const float16 kept = r * h_old;
                        vstore16(kept, 0, kept_state + (row + 4) * padded + unit);
                        vstore16(z, 0, next_state + (row + 4) * padded + unit);
                        if (row + 4 < rows) {
                            const long place = ((long)t * batch + first + row + 4) * units + unit;
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(z, gate + 0 * units, units - unit);
                            store_edge(r, gate + 1 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 5) * padded + unit);
                        const float16 z = sigmoid(acc5_0);
                        const float16 r = sigmoid(acc5_1);
                        const float16 kept = r * h_old;
                        vstore16(kept, 0, kept_state + (row + 5) * padded + unit);
                        vstore16(z, 0, next_state + (row + 5) * padded + unit);
                        if (row + 5 < rows) {
                            const long place = ((long)t * batch + first + row + 5) * units + unit;
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(z, gate + 0 * units, units - unit);
                            store_edge(r, gate + 1 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 6) * padded + unit);
                        const float16 z = sigmoid(acc6_0);
                        const float16 r = sigmoid(acc6_1);
                        const float16 kept = r * h_old;
                        vstore16(kept, 0, kept_state + (row + 6) * padded + unit);
                        vstore16(z, 0, next_state + (row + 6) * padded + unit);
                        if (row + 6 < rows) {
                            const long place = ((long)t * batch + first + row + 6) * units + unit;
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(z, gate + 0 * units, units - unit);
                            store_edge(r, gate + 1 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 7) * padded + unit);
                        const float16 z = sigmoid(acc7_0);
                        const float16 r = sigmoid(acc7_1);
                        const float16 kept = r * h_old;
                        vstore16(kept, 0, kept_state + (row + 7) * padded + unit);
                        vstore16(z, 0, next_state + (row + 7) * padded + unit);
                        if (row + 7 < rows) {
                            const long place = ((long)t * batch + first + row + 7) * units + unit;
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(z, gate + 0 * units, units - unit);
                            store_edge(r, gate + 1 * units, units - unit);
                        }
                    }
                }
            }
            for (int block = 0; block < blocks; ++block) {
                const int unit = block * 16;
                const __global float *weights = packed + (long)block * units * 48 + 32;
                for (int row = 0; row < rows; row += 8) {
                    const __global float *z = through + ((long)(turn * blocks + block) * item_rows + row) * 48 + 32;
                    float16 acc0_0 = vload16(0, z + 0 * 48 + 0 * 16);
                    float16 acc1_0 = vload16(0, z + 1 * 48 + 0 * 16);
                    float16 acc2_0 = vload16(0, z + 2 * 48 + 0 * 16);
                    float16 acc3_0 = vload16(0, z + 3 * 48 + 0 * 16);
                    float16 acc4_0 = vload16(0, z + 4 * 48 + 0 * 16);
                    float16 acc5_0 = vload16(0, z + 5 * 48 + 0 * 16);
                    float16 acc6_0 = vload16(0, z + 6 * 48 + 0 * 16);
                    float16 acc7_0 = vload16(0, z + 7 * 48 + 0 * 16);
                    const __global float *h0 = kept_state + (row + 0) * padded;
                    const __global float *h1 = kept_state + (row + 1) * padded;
                    const __global float *h2 = kept_state + (row + 2) * padded;
                    const __global float *h3 = kept_state + (row + 3) * padded;
                    const __global float *h4 = kept_state + (row + 4) * padded;
                    const __global float *h5 = kept_state + (row + 5) * padded;
                    const __global float *h6 = kept_state + (row + 6) * padded;
                    const __global float *h7 = kept_state + (row + 7) * padded;
                    for (int k = 0; k < units; ++k) {
                        const float16 b0 = vload16(0, weights + k * 48 + 0);
                        const float16 a0 = (float16)(h0[k]);
                        acc0_0 = fma(a0, b0, acc0_0);
                        const float16 a1 = (float16)(h1[k]);
                        acc1_0 = fma(a1, b0, acc1_0);
                        const float16 a2 = (float16)(h2[k]);
                        acc2_0 = fma(a2, b0, acc2_0);
                        const float16 a3 = (float16)(h3[k]);
                        acc3_0 = fma(a3, b0, acc3_0);
                        const float16 a4 = (float16)(h4[k]);
                        acc4_0 = fma(a4, b0, acc4_0);
                        const float16 a5 = (float16)(h5[k]);
                        acc5_0 = fma(a5, b0, acc5_0);
                        const float16 a6 = (float16)(h6[k]);
                        acc6_0 = fma(a6, b0, acc6_0);
                        const float16 a7 = (float16)(h7[k]);
                        acc7_0 = fma(a7, b0, acc7_0);
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 0) * padded + unit);
                        const float16 z = vload16(0, next_state + (row + 0) * padded + unit);
                        const float16 g = tanh(acc0_0);
                        float16 h = fma(z, (h_old - g), g);
                        if (!mask[(long)t * batch + first + min(row + 0, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 0) * padded + unit);
                        if (row + 0 < rows) {
                            const long place = ((long)t * batch + first + row + 0) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(g, gate + 2 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 1) * padded + unit);
                        const float16 z = vload16(0, next_state + (row + 1) * padded + unit);
                        const float16 g = tanh(acc1_0);
                        float16 h = fma(z, (h_old - g), g);
                        if (!mask[(long)t * batch + first + min(row + 1, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 1) * padded + unit);
                        if (row + 1 < rows) {
                            const long place = ((long)t * batch + first + row + 1) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(g, gate + 2 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 2) * padded + unit);
                        const float16 z = vload16(0, next_state + (row + 2) * padded + unit);
                        const float16 g = tanh(acc2_0);
                        float16 h = fma(z, (h_old - g), g);
                        if (!mask[(long)t * batch + first + min(row + 2, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 2) * padded + unit);
                        if (row + 2 < rows) {
                            const long place = ((long)t * batch + first + row + 2) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(g, gate + 2 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 3) * padded + unit);
                        const float16 z = vload16(0, next_state + (row + 3) * padded + unit);
                        const float16 g = tanh(acc3_0);
                        float16 h = fma(z, (h_old - g), g);
                        if (!mask[(long)t * batch + first + min(row + 3, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 3) * padded + unit);
                        if (row + 3 < rows) {
                            const long place = ((long)t * batch + first + row + 3) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(g, gate + 2 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 4) * padded + unit);
                        const float16 z = vload16(0, next_state + (row + 4) * padded + unit);
                        const float16 g = tanh(acc4_0);
                        float16 h = fma(z, (h_old - g), g);
                        if (!mask[(long)t * batch + first + min(row + 4, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 4) * padded + unit);
                        if (row + 4 < rows) {
                            const long place = ((long)t * batch + first + row + 4) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(g, gate + 2 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 5) * padded + unit);
                        const float16 z = vload16(0, next_state + (row + 5) * padded + unit);
                        const float16 g = tanh(acc5_0);
                        float16 h = fma(z, (h_old - g), g);
                        if (!mask[(long)t * batch + first + min(row + 5, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 5) * padded + unit);
                        if (row + 5 < rows) {
                            const long place = ((long)t * batch + first + row + 5) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(g, gate + 2 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 6) * padded + unit);
                        const float16 z = vload16(0, next_state + (row + 6) * padded + unit);
                        const float16 g = tanh(acc6_0);
                        float16 h = fma(z, (h_old - g), g);
                        if (!mask[(long)t * batch + first + min(row + 6, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 6) * padded + unit);
                        if (row + 6 < rows) {
                            const long place = ((long)t * batch + first + row + 6) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(g, gate + 2 * units, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 7) * padded + unit);
                        const float16 z = vload16(0, next_state + (row + 7) * padded + unit);
                        const float16 g = tanh(acc7_0);
                        float16 h = fma(z, (h_old - g), g);
                        if (!mask[(long)t * batch + first + min(row + 7, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 7) * padded + unit);
                        if (row + 7 < rows) {
                            const long place = ((long)t * batch + first + row + 7) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                            __global float *gate = gates + (place - unit) * 3 + unit;
                            store_edge(g, gate + 2 * units, units - unit);
                        }
                    }
                }
            }
            __global float *spare = state;
            state = next_state;
            next_state = spare;
        }
    }
    for (int row = 0; row < rows; ++row) {
        for (int unit = 0; unit < padded; unit += 16) {
            const long at = (long)(first + row) * units + unit;
            store_edge(vload16(0, state + row * padded + unit), last_h + at, units - unit);
        }
    }
}
