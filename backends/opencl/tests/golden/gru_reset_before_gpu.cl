// model/gru_layer: gru
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void gru_layer_gru_inputs(
    __global const float *x,
    const long x_start,
    __global const float *kernel_,
    const long kernel__start,
    __global const float *bias,
    const long bias_start,
    __global float *scratch,
    const long scratch_start,
    const long through_at,
    const int rows,
    const int columns,
    const int features)
{
    x += x_start;
    kernel_ += kernel__start;
    bias += bias_start;
    scratch += scratch_start;
    __global float *through = scratch + through_at;
    __local float left[512], right[512];
    const int item = get_local_id(0);
    const int across = (columns + 31) / 32;
    const int top = get_group_id(0) / across * 32;
    const int side = get_group_id(0) % across * 32;
    const int own_row = item / 8, own_column = item % 8;
    float acc0_0 = 0;
    float acc0_1 = 0;
    float acc0_2 = 0;
    float acc0_3 = 0;
    float acc1_0 = 0;
    float acc1_1 = 0;
    float acc1_2 = 0;
    float acc1_3 = 0;
    float acc2_0 = 0;
    float acc2_1 = 0;
    float acc2_2 = 0;
    float acc2_3 = 0;
    float acc3_0 = 0;
    float acc3_1 = 0;
    float acc3_2 = 0;
    float acc3_3 = 0;
    for (int k0 = 0; k0 < features; k0 += 16) {
        for (int n = item; n < 512; n += 64) {
            const int k = k0 + n / 32;
            const int r = top + n % 32, c = side + n % 32;
            left[n] = k < features && r < rows ? x[(long)r * features + k] : 0;
            right[n] = k < features && c < columns ? kernel_[(long)k * columns + c] : 0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < 16; ++k) {
            const float a0 = left[k * 32 + own_row + 0];
            const float a1 = left[k * 32 + own_row + 8];
            const float a2 = left[k * 32 + own_row + 16];
            const float a3 = left[k * 32 + own_row + 24];
            const float b0 = right[k * 32 + own_column + 0];
            const float b1 = right[k * 32 + own_column + 8];
            const float b2 = right[k * 32 + own_column + 16];
            const float b3 = right[k * 32 + own_column + 24];
            acc0_0 += a0 * b0;
            acc0_1 += a0 * b1;
            acc0_2 += a0 * b2;
            acc0_3 += a0 * b3;
            acc1_0 += a1 * b0;
            acc1_1 += a1 * b1;
            acc1_2 += a1 * b2;
            acc1_3 += a1 * b3;
            acc2_0 += a2 * b0;
            acc2_1 += a2 * b1;
            acc2_2 += a2 * b2;
            acc2_3 += a2 * b3;
            acc3_0 += a3 * b0;
            acc3_1 += a3 * b1;
            acc3_2 += a3 * b2;
            acc3_3 += a3 * b3;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 0;
        const float value = acc0_0;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 8;
        const float value = acc0_1;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 16;
        const float value = acc0_2;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 24;
        const float value = acc0_3;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 0;
        const float value = acc1_0;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 8;
        const float value = acc1_1;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 16;
        const float value = acc1_2;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 24;
        const float value = acc1_3;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 0;
        const float value = acc2_0;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 8;
        const float value = acc2_1;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 16;
        const float value = acc2_2;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 24;
        const float value = acc2_3;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 0;
        const float value = acc3_0;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 8;
        const float value = acc3_1;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 16;
        const float value = acc3_2;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 24;
        const float value = acc3_3;
        if (r < rows && c < columns) {
            through[(long)r * columns + c] = value + bias[c];
        }
    }
}

// model/gru_layer: gru
static inline float sigmoid(const float z) { return 1.0f / (1.0f + exp(-z)); }
__kernel __attribute__((reqd_work_group_size(128, 1, 1)))
void gru_layer_gru_steps(
    __global const float *h0,
    const long h0_start,
    __global const float *recurrent,
    const long recurrent_start,
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
    const long through_at,
    const long states_at,
    const long kept_state_at,
    const int steps,
    const int batch,
    const int units,
    const int first_step,
    const int direction)
{
    h0 += h0_start;
    recurrent += recurrent_start;
    mask += mask_start;
    hidden += hidden_start;
    last_h += last_h_start;
    gates += gates_start;
    scratch += scratch_start;
    __global float *through = scratch + through_at;
    __global float *states = scratch + states_at;
    __global float *kept_state = scratch + kept_state_at;
    __local float tile[256];
    const int lane = get_local_id(0);
    const int first = get_group_id(0) * 4;
    const int rows = min(4, batch - first);
    __global float *state = states, *next_state = states + (long)batch * units;
    for (int u = lane; u < units; u += 128) {
        for (int row = 0; row < rows; ++row) {
            const long at = (long)(first + row) * units + u;
            state[at] = h0[at];
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    for (int turn = 0; turn < steps; ++turn) {
        const int t = first_step + turn * direction;
        for (int u0 = 0; u0 < units; u0 += 128) {
            const int u = u0 + lane;
            float acc0_0 = 0;
            float acc0_1 = 0;
            float acc1_0 = 0;
            float acc1_1 = 0;
            float acc2_0 = 0;
            float acc2_1 = 0;
            float acc3_0 = 0;
            float acc3_1 = 0;
            for (int k0 = 0; k0 < units; k0 += 64) {
                for (int n = lane; n < 256; n += 128) {
                    const int row = n / 64, k = k0 + n % 64;
                    tile[n] = row < rows && k < units ? state[(long)(first + row) * units + k] : 0;
                }
                barrier(CLK_LOCAL_MEM_FENCE);
                const int end = u < units ? min(64, units - k0) : 0;
                for (int k = 0; k < end; ++k) {
                    __global const float *weight = recurrent + (long)(k0 + k) * 3 * units + u;
                    const float w0 = weight[0 * units];
                    const float w1 = weight[1 * units];
                    acc0_0 += tile[0 + k] * w0;
                    acc0_1 += tile[0 + k] * w1;
                    acc1_0 += tile[64 + k] * w0;
                    acc1_1 += tile[64 + k] * w1;
                    acc2_0 += tile[128 + k] * w0;
                    acc2_1 += tile[128 + k] * w1;
                    acc3_0 += tile[192 + k] * w0;
                    acc3_1 += tile[192 + k] * w1;
                }
                barrier(CLK_LOCAL_MEM_FENCE);
            }
            if (u < units && 0 < rows) {
                const long at = (long)(first + 0) * units + u, step = (long)t * batch + first + 0;
                __global const float *z_in = through + step * 3 * units + u;
                const float h_old = state[at];
                const float z = sigmoid((z_in[0 * units] + acc0_0));
                const float r = sigmoid((z_in[1 * units] + acc0_1));
                const float kept = r * h_old;
                kept_state[at] = kept;
                next_state[at] = z;
                __global float *gate = gates + step * 3 * units + u;
                gate[0 * units] = z;
                gate[1 * units] = r;
            }
            if (u < units && 1 < rows) {
                const long at = (long)(first + 1) * units + u, step = (long)t * batch + first + 1;
                __global const float *z_in = through + step * 3 * units + u;
                const float h_old = state[at];
                const float z = sigmoid((z_in[0 * units] + acc1_0));
                const float r = sigmoid((z_in[1 * units] + acc1_1));
                const float kept = r * h_old;
                kept_state[at] = kept;
                next_state[at] = z;
                __global float *gate = gates + step * 3 * units + u;
                gate[0 * units] = z;
                gate[1 * units] = r;
            }
            if (u < units && 2 < rows) {
                const long at = (long)(first + 2) * units + u, step = (long)t * batch + first + 2;
                __global const float *z_in = through + step * 3 * units + u;
                const float h_old = state[at];
                const float z = sigmoid((z_in[0 * units] + acc2_0));
                const float r = sigmoid((z_in[1 * units] + acc2_1));
                const float kept = r * h_old;
                kept_state[at] = kept;
                next_state[at] = z;
                __global float *gate = gates + step * 3 * units + u;
                gate[0 * units] = z;
                gate[1 * units] = r;
            }
            if (u < units && 3 < rows) {
                const long at = (long)(first + 3) * units + u, step = (long)t * batch + first + 3;
                __global const float *z_in = through + step * 3 * units + u;
                const float h_old = state[at];
                const float z = sigmoid((z_in[0 * units] + acc3_0));
                const float r = sigmoid((z_in[1 * units] + acc3_1));
                const float kept = r * h_old;
                kept_state[at] = kept;
                next_state[at] = z;
                __global float *gate = gates + step * 3 * units + u;
                gate[0 * units] = z;
                gate[1 * units] = r;
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
        for (int u0 = 0; u0 < units; u0 += 128) {
            const int u = u0 + lane;
            float acc0_2 = 0;
            float acc1_2 = 0;
            float acc2_2 = 0;
            float acc3_2 = 0;
            for (int k0 = 0; k0 < units; k0 += 64) {
                for (int n = lane; n < 256; n += 128) {
                    const int row = n / 64, k = k0 + n % 64;
                    tile[n] = row < rows && k < units ? kept_state[(long)(first + row) * units + k] : 0;
                }
                barrier(CLK_LOCAL_MEM_FENCE);
                const int end = u < units ? min(64, units - k0) : 0;
                for (int k = 0; k < end; ++k) {
                    __global const float *weight = recurrent + (long)(k0 + k) * 3 * units + u;
                    const float w2 = weight[2 * units];
                    acc0_2 += tile[0 + k] * w2;
                    acc1_2 += tile[64 + k] * w2;
                    acc2_2 += tile[128 + k] * w2;
                    acc3_2 += tile[192 + k] * w2;
                }
                barrier(CLK_LOCAL_MEM_FENCE);
            }
            if (u < units && 0 < rows) {
                const long at = (long)(first + 0) * units + u, step = (long)t * batch + first + 0;
                __global const float *z_in = through + step * 3 * units + u;
                const float h_old = state[at];
                const float z = next_state[at];
                const float g = tanh((z_in[2 * units] + acc0_2));
                float h = fma(z, (h_old - g), g);
                if (!mask[step]) {
                    h = h_old;
                }
                next_state[at] = h;
                hidden[step * units + u] = h;
                __global float *gate = gates + step * 3 * units + u;
                gate[2 * units] = g;
            }
            if (u < units && 1 < rows) {
                const long at = (long)(first + 1) * units + u, step = (long)t * batch + first + 1;
                __global const float *z_in = through + step * 3 * units + u;
                const float h_old = state[at];
                const float z = next_state[at];
                const float g = tanh((z_in[2 * units] + acc1_2));
                float h = fma(z, (h_old - g), g);
                if (!mask[step]) {
                    h = h_old;
                }
                next_state[at] = h;
                hidden[step * units + u] = h;
                __global float *gate = gates + step * 3 * units + u;
                gate[2 * units] = g;
            }
            if (u < units && 2 < rows) {
                const long at = (long)(first + 2) * units + u, step = (long)t * batch + first + 2;
                __global const float *z_in = through + step * 3 * units + u;
                const float h_old = state[at];
                const float z = next_state[at];
                const float g = tanh((z_in[2 * units] + acc2_2));
                float h = fma(z, (h_old - g), g);
                if (!mask[step]) {
                    h = h_old;
                }
                next_state[at] = h;
                hidden[step * units + u] = h;
                __global float *gate = gates + step * 3 * units + u;
                gate[2 * units] = g;
            }
            if (u < units && 3 < rows) {
                const long at = (long)(first + 3) * units + u, step = (long)t * batch + first + 3;
                __global const float *z_in = through + step * 3 * units + u;
                const float h_old = state[at];
                const float z = next_state[at];
                const float g = tanh((z_in[2 * units] + acc3_2));
                float h = fma(z, (h_old - g), g);
                if (!mask[step]) {
                    h = h_old;
                }
                next_state[at] = h;
                hidden[step * units + u] = h;
                __global float *gate = gates + step * 3 * units + u;
                gate[2 * units] = g;
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
        __global float *spare = state;
        state = next_state;
        next_state = spare;
    }
    for (int u = lane; u < units; u += 128) {
        for (int row = 0; row < rows; ++row) {
            const long at = (long)(first + row) * units + u;
            last_h[at] = state[at];
        }
    }
}
