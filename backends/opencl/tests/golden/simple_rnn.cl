// model/simple_rnn_layer: simple_rnn
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
void simple_rnn_layer_simple_rnn_pack(
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
    kernel_packed += (long)block * features * 16;
    packed += (long)block * units * 16;
    offsets += block * 16;
    for (int k = 0; k < features; ++k) {
        const __global float *row = kernel_ + (long)k * 1 * units;
        vstore16(load_edge(row + 0 * units + unit, units - unit), 0, kernel_packed + k * 16 + 0);
    }
    for (int k = 0; k < units; ++k) {
        const __global float *row = recurrent + (long)k * 1 * units;
        vstore16(load_edge(row + 0 * units + unit, units - unit), 0, packed + k * 16 + 0);
    }
    vstore16(load_edge(bias + 0 * units + unit, units - unit), 0, offsets + 0);
}

// model/simple_rnn_layer: simple_rnn
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
void simple_rnn_layer_simple_rnn(
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
    __global float *scratch,
    const long scratch_start,
    const long kernel_packed_at,
    const long packed_at,
    const long offsets_at,
    const long through_at,
    const long states_at,
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
    scratch += scratch_start;
    __global float *kernel_packed = scratch + kernel_packed_at;
    __global float *packed = scratch + packed_at;
    __global float *offsets = scratch + offsets_at;
    __global float *through = scratch + through_at;
    __global float *states = scratch + states_at;
    const int first = get_group_id(0) * item_rows;
    const int rows = min(item_rows, batch - first);
    const int padded = blocks * 16;
    through += (long)first * 8 * blocks * 16;
    __global float *state = states + (long)first * 2 * padded;
    __global float *next_state = state + item_rows * padded;
    for (int row = 0; row < item_rows; ++row) {
        for (int unit = 0; unit < padded; unit += 16) {
            const long from = (long)(first + min(row, rows - 1)) * units + unit;
            vstore16(load_edge(h0 + from, units - unit), 0, state + row * padded + unit);
        }
    }
    for (int done = 0; done < steps; done += 8) {
        const int turns = min(8, steps - done);
        for (int block = 0; block < blocks; ++block) {
            const __global float *weights = kernel_packed + (long)block * features * 16;
            for (int turn = 0; turn < turns; ++turn) {
                const int t = first_step + (done + turn) * direction;
                for (int row = 0; row < rows; row += 16) {
                    const __global float *x0 = x + ((long)t * batch + first + min(row + 0, rows - 1)) * features;
                    const __global float *x1 = x + ((long)t * batch + first + min(row + 1, rows - 1)) * features;
                    const __global float *x2 = x + ((long)t * batch + first + min(row + 2, rows - 1)) * features;
                    const __global float *x3 = x + ((long)t * batch + first + min(row + 3, rows - 1)) * features;
                    const __global float *x4 = x + ((long)t * batch + first + min(row + 4, rows - 1)) * features;
                    const __global float *x5 = x + ((long)t * batch + first + min(row + 5, rows - 1)) * features;
                    const __global float *x6 = x + ((long)t * batch + first + min(row + 6, rows - 1)) * features;
                    const __global float *x7 = x + ((long)t * batch + first + min(row + 7, rows - 1)) * features;
                    const __global float *x8 = x + ((long)t * batch + first + min(row + 8, rows - 1)) * features;
                    const __global float *x9 = x + ((long)t * batch + first + min(row + 9, rows - 1)) * features;
                    const __global float *x10 = x + ((long)t * batch + first + min(row + 10, rows - 1)) * features;
                    const __global float *x11 = x + ((long)t * batch + first + min(row + 11, rows - 1)) * features;
                    const __global float *x12 = x + ((long)t * batch + first + min(row + 12, rows - 1)) * features;
                    const __global float *x13 = x + ((long)t * batch + first + min(row + 13, rows - 1)) * features;
                    const __global float *x14 = x + ((long)t * batch + first + min(row + 14, rows - 1)) * features;
                    const __global float *x15 = x + ((long)t * batch + first + min(row + 15, rows - 1)) * features;
                    float16 acc0_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc1_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc2_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc3_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc4_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc5_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc6_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc7_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc8_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc9_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc10_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc11_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc12_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc13_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc14_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    float16 acc15_0 = vload16(0, offsets + block * 16 + 0 * 16);
                    for (int k = 0; k < features; ++k) {
                        const float16 b0 = vload16(0, weights + k * 16 + 0);
                        const float16 a0 = (float16)(x0[k]);
                        acc0_0 = fma(a0, b0, acc0_0);
                        const float16 a1 = (float16)(x1[k]);
                        acc1_0 = fma(a1, b0, acc1_0);
                        const float16 a2 = (float16)(x2[k]);
                        acc2_0 = fma(a2, b0, acc2_0);
                        const float16 a3 = (float16)(x3[k]);
                        acc3_0 = fma(a3, b0, acc3_0);
                        const float16 a4 = (float16)(x4[k]);
                        acc4_0 = fma(a4, b0, acc4_0);
                        const float16 a5 = (float16)(x5[k]);
                        acc5_0 = fma(a5, b0, acc5_0);
                        const float16 a6 = (float16)(x6[k]);
                        acc6_0 = fma(a6, b0, acc6_0);
                        const float16 a7 = (float16)(x7[k]);
                        acc7_0 = fma(a7, b0, acc7_0);
                        const float16 a8 = (float16)(x8[k]);
                        acc8_0 = fma(a8, b0, acc8_0);
                        const float16 a9 = (float16)(x9[k]);
                        acc9_0 = fma(a9, b0, acc9_0);
                        const float16 a10 = (float16)(x10[k]);
                        acc10_0 = fma(a10, b0, acc10_0);
                        const float16 a11 = (float16)(x11[k]);
                        acc11_0 = fma(a11, b0, acc11_0);
                        const float16 a12 = (float16)(x12[k]);
                        acc12_0 = fma(a12, b0, acc12_0);
                        const float16 a13 = (float16)(x13[k]);
                        acc13_0 = fma(a13, b0, acc13_0);
                        const float16 a14 = (float16)(x14[k]);
                        acc14_0 = fma(a14, b0, acc14_0);
                        const float16 a15 = (float16)(x15[k]);
                        acc15_0 = fma(a15, b0, acc15_0);
                    }
                    __global float *target = through + ((long)(turn * blocks + block) * item_rows + row) * 16;
                    vstore16(acc0_0, 0, target + 0);
                    vstore16(acc1_0, 0, target + 16);
                    vstore16(acc2_0, 0, target + 32);
                    vstore16(acc3_0, 0, target + 48);
                    vstore16(acc4_0, 0, target + 64);
                    vstore16(acc5_0, 0, target + 80);
                    vstore16(acc6_0, 0, target + 96);
                    vstore16(acc7_0, 0, target + 112);
                    vstore16(acc8_0, 0, target + 128);
                    vstore16(acc9_0, 0, target + 144);
                    vstore16(acc10_0, 0, target + 160);
                    vstore16(acc11_0, 0, target + 176);
                    vstore16(acc12_0, 0, target + 192);
                    vstore16(acc13_0, 0, target + 208);
                    vstore16(acc14_0, 0, target + 224);
                    vstore16(acc15_0, 0, target + 240);
                }
            }
        }
        for (int turn = 0; turn < turns; ++turn) {
            const int t = first_step + (done + turn) * direction;
            for (int block = 0; block < blocks; ++block) {
                const int unit = block * 16;
                const __global float *weights = packed + (long)block * units * 16;
                for (int row = 0; row < rows; row += 16) {
                    const __global float *z = through + ((long)(turn * blocks + block) * item_rows + row) * 16;
                    float16 acc0_0 = vload16(0, z + 0 * 16 + 0 * 16);
                    float16 acc1_0 = vload16(0, z + 1 * 16 + 0 * 16);
                    float16 acc2_0 = vload16(0, z + 2 * 16 + 0 * 16);
                    float16 acc3_0 = vload16(0, z + 3 * 16 + 0 * 16);
                    float16 acc4_0 = vload16(0, z + 4 * 16 + 0 * 16);
                    float16 acc5_0 = vload16(0, z + 5 * 16 + 0 * 16);
                    float16 acc6_0 = vload16(0, z + 6 * 16 + 0 * 16);
                    float16 acc7_0 = vload16(0, z + 7 * 16 + 0 * 16);
                    float16 acc8_0 = vload16(0, z + 8 * 16 + 0 * 16);
                    float16 acc9_0 = vload16(0, z + 9 * 16 + 0 * 16);
                    float16 acc10_0 = vload16(0, z + 10 * 16 + 0 * 16);
                    float16 acc11_0 = vload16(0, z + 11 * 16 + 0 * 16);
                    float16 acc12_0 = vload16(0, z + 12 * 16 + 0 * 16);
                    float16 acc13_0 = vload16(0, z + 13 * 16 + 0 * 16);
                    float16 acc14_0 = vload16(0, z + 14 * 16 + 0 * 16);
                    float16 acc15_0 = vload16(0, z + 15 * 16 + 0 * 16);
                    const __global float *h0 = state + (row + 0) * padded;
                    const __global float *h1 = state + (row + 1) * padded;
                    const __global float *h2 = state + (row + 2) * padded;
                    const __global float *h3 = state + (row + 3) * padded;
                    const __global float *h4 = state + (row + 4) * padded;
                    const __global float *h5 = state + (row + 5) * padded;
                    const __global float *h6 = state + (row + 6) * padded;
                    const __global float *h7 = state + (row + 7) * padded;
                    const __global float *h8 = state + (row + 8) * padded;
                    const __global float *h9 = state + (row + 9) * padded;
                    const __global float *h10 = state + (row + 10) * padded;
                    const __global float *h11 = state + (row + 11) * padded;
                    const __global float *h12 = state + (row + 12) * padded;
                    const __global float *h13 = state + (row + 13) * padded;
                    const __global float *h14 = state + (row + 14) * padded;
                    const __global float *h15 = state + (row + 15) * padded;
                    for (int k = 0; k < units; ++k) {
                        const float16 b0 = vload16(0, weights + k * 16 + 0);
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
                        const float16 a8 = (float16)(h8[k]);
                        acc8_0 = fma(a8, b0, acc8_0);
                        const float16 a9 = (float16)(h9[k]);
                        acc9_0 = fma(a9, b0, acc9_0);
                        const float16 a10 = (float16)(h10[k]);
                        acc10_0 = fma(a10, b0, acc10_0);
                        const float16 a11 = (float16)(h11[k]);
                        acc11_0 = fma(a11, b0, acc11_0);
                        const float16 a12 = (float16)(h12[k]);
                        acc12_0 = fma(a12, b0, acc12_0);
                        const float16 a13 = (float16)(h13[k]);
                        acc13_0 = fma(a13, b0, acc13_0);
                        const float16 a14 = (float16)(h14[k]);
                        acc14_0 = fma(a14, b0, acc14_0);
                        const float16 a15 = (float16)(h15[k]);
                        acc15_0 = fma(a15, b0, acc15_0);
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 0) * padded + unit);
                        float16 h = tanh(acc0_0);
                        if (!mask[(long)t * batch + first + min(row + 0, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 0) * padded + unit);
                        if (row + 0 < rows) {
                            const long place = ((long)t * batch + first + row + 0) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 1) * padded + unit);
                        float16 h = tanh(acc1_0);
                        if (!mask[(long)t * batch + first + min(row + 1, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 1) * padded + unit);
                        if (row + 1 < rows) {
                            const long place = ((long)t * batch + first + row + 1) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 2) * padded + unit);
                        float16 h = tanh(acc2_0);
                        if (!mask[(long)t * batch + first + min(row + 2, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 2) * padded + unit);
                        if (row + 2 < rows) {
                            const long place = ((long)t * batch + first + row + 2) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 3) * padded + unit);
                        float16 h = tanh(acc3_0);
                        if (!mask[(long)t * batch + first + min(row + 3, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 3) * padded + unit);
                        if (row + 3 < rows) {
                            const long place = ((long)t * batch + first + row + 3) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 4) * padded + unit);
                        float16 h = tanh(acc4_0);
                        if (!mask[(long)t * batch + first + min(row + 4, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 4) * padded + unit);
                        if (row + 4 < rows) {
                            const long place = ((long)t * batch + first + row + 4) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 5) * padded + unit);
                        float16 h = tanh(acc5_0);
                        if (!mask[(long)t * batch + first + min(row + 5, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 5) * padded + unit);
                        if (row + 5 < rows) {
                            const long place = ((long)t * batch + first + row + 5) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 6) * padded + unit);
                        float16 h = tanh(acc6_0);
                        if (!mask[(long)t * batch + first + min(row + 6, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 6) * padded + unit);
                        if (row + 6 < rows) {
                            const long place = ((long)t * batch + first + row + 6) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 7) * padded + unit);
                        float16 h = tanh(acc7_0);
                        if (!mask[(long)t * batch + first + min(row + 7, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 7) * padded + unit);
                        if (row + 7 < rows) {
                            const long place = ((long)t * batch + first + row + 7) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 8) * padded + unit);
                        float16 h = tanh(acc8_0);
                        if (!mask[(long)t * batch + first + min(row + 8, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 8) * padded + unit);
                        if (row + 8 < rows) {
                            const long place = ((long)t * batch + first + row + 8) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 9) * padded + unit);
                        float16 h = tanh(acc9_0);
                        if (!mask[(long)t * batch + first + min(row + 9, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 9) * padded + unit);
                        if (row + 9 < rows) {
                            const long place = ((long)t * batch + first + row + 9) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 10) * padded + unit);
                        float16 h = tanh(acc10_0);
                        if (!mask[(long)t * batch + first + min(row + 10, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 10) * padded + unit);
                        if (row + 10 < rows) {
                            const long place = ((long)t * batch + first + row + 10) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 11) * padded + unit);
                        float16 h = tanh(acc11_0);
                        if (!mask[(long)t * batch + first + min(row + 11, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 11) * padded + unit);
                        if (row + 11 < rows) {
                            const long place = ((long)t * batch + first + row + 11) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 12) * padded + unit);
                        float16 h = tanh(acc12_0);
                        if (!mask[(long)t * batch + first + min(row + 12, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 12) * padded + unit);
                        if (row + 12 < rows) {
                            const long place = ((long)t * batch + first + row + 12) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 13) * padded + unit);
                        float16 h = tanh(acc13_0);
                        if (!mask[(long)t * batch + first + min(row + 13, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 13) * padded + unit);
                        if (row + 13 < rows) {
                            const long place = ((long)t * batch + first + row + 13) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 14) * padded + unit);
                        float16 h = tanh(acc14_0);
                        if (!mask[(long)t * batch + first + min(row + 14, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 14) * padded + unit);
                        if (row + 14 < rows) {
                            const long place = ((long)t * batch + first + row + 14) * units + unit;
                            store_edge(h, hidden + place, units - unit);
                        }
                    }
                     {
                        const float16 h_old = vload16(0, state + (row + 15) * padded + unit);
                        float16 h = tanh(acc15_0);
                        if (!mask[(long)t * batch + first + min(row + 15, rows - 1)]) {
                            h = h_old;
                        }
                        vstore16(h, 0, next_state + (row + 15) * padded + unit);
                        if (row + 15 < rows) {
                            const long place = ((long)t * batch + first + row + 15) * units + unit;
                            store_edge(h, hidden + place, units - unit);
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
