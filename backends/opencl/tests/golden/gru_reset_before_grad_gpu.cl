// model/gru_grad_layer: gru_grad
__kernel __attribute__((reqd_work_group_size(256, 1, 1)))
void gru_grad_layer_gru_grad_turned(
    __global const float *recurrent,
    const long recurrent_start,
    __global float *scratch,
    const long scratch_start,
    const long turned_at,
    const int units,
    const int columns)
{
    recurrent += recurrent_start;
    scratch += scratch_start;
    __global float *turned = scratch + turned_at;
    __local float tile[272];  // a column more than it holds, against bank conflicts
    const int across = (columns + 15) / 16;
    const int top = get_group_id(0) / across * 16, side = get_group_id(0) % across * 16;
    const int i = get_local_id(0) / 16, j = get_local_id(0) % 16;
    if (top + i < units && side + j < columns) tile[j * 17 + i] = recurrent[(long)(top + i) * columns + side + j];
    barrier(CLK_LOCAL_MEM_FENCE);
    if (side + i < columns && top + j < units) turned[(long)(side + i) * units + top + j] = tile[i * 17 + j];
}

// model/gru_grad_layer: gru_grad
__kernel __attribute__((reqd_work_group_size(128, 1, 1)))
void gru_grad_layer_gru_grad_steps(
    __global const float *g_hidden,
    const long g_hidden_start,
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
    const long turned_at,
    const long slopes_at,
    const long dh_at,
    const int steps,
    const int batch,
    const int units,
    const int first_step,
    const int direction)
{
    g_hidden += g_hidden_start;
    h0 += h0_start;
    mask += mask_start;
    hidden += hidden_start;
    gates += gates_start;
    dh0 += dh0_start;
    scratch += scratch_start;
    __global float *turned = scratch + turned_at;
    __global float *slopes = scratch + slopes_at;
    __global float *dh = scratch + dh_at;
    __local float tile[256];
    const int lane = get_local_id(0);
    const int first = get_group_id(0) * 4;
    const int rows = min(4, batch - first);
    for (int u = lane; u < units; u += 128) {
        for (int row = 0; row < rows; ++row) {
            const long at = (long)(first + row) * units + u;
            dh[at] = 0;
        }
    }
    for (int turn = 0; turn < steps; ++turn) {
        const int t = first_step + turn * direction;
        __global const float *h_before = turn + 1 < steps ? hidden + (long)(t + direction) * batch * units : h0;
        for (int u = lane; u < units; u += 128) {
            for (int row = 0; row < rows; ++row) {
                const long at = (long)(first + row) * units + u, step = (long)t * batch + first + row;
                const float to_h = dh[at] + g_hidden[step * units + u];
                __global float *slope = slopes + step * 3 * units + u;
                if (!mask[step]) {
                    dh[at] = to_h;
                    slope[0 * units] = 0;
                    slope[1 * units] = 0;
                    slope[2 * units] = 0;
                    continue;
                }
                __global const float *gate = gates + step * 3 * units + u;
                const float z = gate[0 * units];
                const float r = gate[1 * units];
                const float g = gate[2 * units];
                const float h_old = h_before[at];
                slope[0 * units] = to_h * (h_old - g) * (z * (1.0f - z));
                slope[2 * units] = to_h * (1.0f - z) * (1.0f - g * g);
                dh[at] = to_h * z;
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
        for (int u0 = 0; u0 < units; u0 += 128) {
            const int u = u0 + lane;
            float acc0 = 0;
            float acc1 = 0;
            float acc2 = 0;
            float acc3 = 0;
            for (int k0 = 0; k0 < 1 * units; k0 += 64) {
                for (int n = lane; n < 256; n += 128) {
                    const int row = n / 64, k = k0 + n % 64;
                    tile[n] = row < rows && k < 1 * units ? slopes[((long)t * batch + first + row) * 3 * units + 2 * units + k] : 0;
                }
                barrier(CLK_LOCAL_MEM_FENCE);
                const int end = u < units ? min(64, 1 * units - k0) : 0;
                for (int k = 0; k < end; ++k) {
                    const float weight = turned[(long)(2 * units + k0 + k) * units + u];
                    acc0 += tile[0 + k] * weight;
                    acc1 += tile[64 + k] * weight;
                    acc2 += tile[128 + k] * weight;
                    acc3 += tile[192 + k] * weight;
                }
                barrier(CLK_LOCAL_MEM_FENCE);
            }
            if (u < units && 0 < rows) {
                const long at = (long)(first + 0) * units + u, step = (long)t * batch + first + 0;
                const float r = gates[(step * 3 + 1) * units + u];
                const float h_old = h_before[at], to_kept = acc0;
                slopes[(step * 3 + 1) * units + u] = to_kept * h_old * (r * (1.0f - r));
                dh[at] += to_kept * r;
            }
            if (u < units && 1 < rows) {
                const long at = (long)(first + 1) * units + u, step = (long)t * batch + first + 1;
                const float r = gates[(step * 3 + 1) * units + u];
                const float h_old = h_before[at], to_kept = acc1;
                slopes[(step * 3 + 1) * units + u] = to_kept * h_old * (r * (1.0f - r));
                dh[at] += to_kept * r;
            }
            if (u < units && 2 < rows) {
                const long at = (long)(first + 2) * units + u, step = (long)t * batch + first + 2;
                const float r = gates[(step * 3 + 1) * units + u];
                const float h_old = h_before[at], to_kept = acc2;
                slopes[(step * 3 + 1) * units + u] = to_kept * h_old * (r * (1.0f - r));
                dh[at] += to_kept * r;
            }
            if (u < units && 3 < rows) {
                const long at = (long)(first + 3) * units + u, step = (long)t * batch + first + 3;
                const float r = gates[(step * 3 + 1) * units + u];
                const float h_old = h_before[at], to_kept = acc3;
                slopes[(step * 3 + 1) * units + u] = to_kept * h_old * (r * (1.0f - r));
                dh[at] += to_kept * r;
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
        for (int u0 = 0; u0 < units; u0 += 128) {
            const int u = u0 + lane;
            float acc0 = 0;
            float acc1 = 0;
            float acc2 = 0;
            float acc3 = 0;
            for (int k0 = 0; k0 < 2 * units; k0 += 64) {
                for (int n = lane; n < 256; n += 128) {
                    const int row = n / 64, k = k0 + n % 64;
                    tile[n] = row < rows && k < 2 * units ? slopes[((long)t * batch + first + row) * 3 * units + k] : 0;
                }
                barrier(CLK_LOCAL_MEM_FENCE);
                const int end = u < units ? min(64, 2 * units - k0) : 0;
                for (int k = 0; k < end; ++k) {
                    const float weight = turned[(long)(k0 + k) * units + u];
                    acc0 += tile[0 + k] * weight;
                    acc1 += tile[64 + k] * weight;
                    acc2 += tile[128 + k] * weight;
                    acc3 += tile[192 + k] * weight;
                }
                barrier(CLK_LOCAL_MEM_FENCE);
            }
            if (u < units && 0 < rows) dh[(long)(first + 0) * units + u] += acc0;
            if (u < units && 1 < rows) dh[(long)(first + 1) * units + u] += acc1;
            if (u < units && 2 < rows) dh[(long)(first + 2) * units + u] += acc2;
            if (u < units && 3 < rows) dh[(long)(first + 3) * units + u] += acc3;
        }
        barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);
    }
    for (int u = lane; u < units; u += 128) {
        for (int row = 0; row < rows; ++row) {
            const long at = (long)(first + row) * units + u;
            dh0[at] = dh[at];
        }
    }
}

// model/gru_grad_layer: gru_grad
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void gru_grad_layer_gru_grad_dx(
    __global const float *kernel_,
    const long kernel__start,
    __global float *dx,
    const long dx_start,
    __global float *scratch,
    const long scratch_start,
    const long slopes_at,
    const int rows,
    const int columns,
    const int wide,
    const int features,
    const int units,
    const int early,
    const int late,
    const int batch)
{
    kernel_ += kernel__start;
    dx += dx_start;
    scratch += scratch_start;
    __global float *slopes = scratch + slopes_at;
    __local float left[512], right[512];
    const int item = get_local_id(0);
    const int across = (features + 31) / 32;
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
    for (int k0 = 0; k0 < columns; k0 += 16) {
        for (int n = item; n < 512; n += 64) {
            const int k = k0 + n / 32;
            const int r = top + n % 32, c = side + n % 32;
            left[n] = k < columns && r < rows ? slopes[(long)r * wide + k] : 0;
            right[n] = k < columns && c < features ? kernel_[(long)c * columns + k] : 0;
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
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 8;
        const float value = acc0_1;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 16;
        const float value = acc0_2;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 24;
        const float value = acc0_3;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 0;
        const float value = acc1_0;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 8;
        const float value = acc1_1;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 16;
        const float value = acc1_2;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 24;
        const float value = acc1_3;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 0;
        const float value = acc2_0;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 8;
        const float value = acc2_1;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 16;
        const float value = acc2_2;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 24;
        const float value = acc2_3;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 0;
        const float value = acc3_0;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 8;
        const float value = acc3_1;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 16;
        const float value = acc3_2;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 24;
        const float value = acc3_3;
        if (r < rows && c < features) {
            dx[(long)r * features + c] = value;
        }
    }
}

// model/gru_grad_layer: gru_grad
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void gru_grad_layer_gru_grad_d_kernel(
    __global const float *x,
    const long x_start,
    __global float *d_kernel,
    const long d_kernel_start,
    __global float *scratch,
    const long scratch_start,
    const long slopes_at,
    const int rows,
    const int columns,
    const int wide,
    const int features,
    const int units,
    const int early,
    const int late,
    const int batch)
{
    x += x_start;
    d_kernel += d_kernel_start;
    scratch += scratch_start;
    __global float *slopes = scratch + slopes_at;
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
    for (int k0 = 0; k0 < rows; k0 += 16) {
        for (int n = item; n < 512; n += 64) {
            const int k = k0 + n / 32;
            const int r = top + n % 32, c = side + n % 32;
            left[n] = k < rows && r < features ? x[(long)k * features + r] : 0;
            right[n] = k < rows && c < columns ? slopes[(long)k * wide + c] : 0;
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
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 8;
        const float value = acc0_1;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 16;
        const float value = acc0_2;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 24;
        const float value = acc0_3;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 0;
        const float value = acc1_0;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 8;
        const float value = acc1_1;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 16;
        const float value = acc1_2;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 24;
        const float value = acc1_3;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 0;
        const float value = acc2_0;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 8;
        const float value = acc2_1;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 16;
        const float value = acc2_2;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 24;
        const float value = acc2_3;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 0;
        const float value = acc3_0;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 8;
        const float value = acc3_1;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 16;
        const float value = acc3_2;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 24;
        const float value = acc3_3;
        if (r < features && c < columns) {
            d_kernel[(long)r * columns + c] = value;
        }
    }
}

// model/gru_grad_layer: gru_grad
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void gru_grad_layer_gru_grad_d_recurrent(
    __global const float *h0,
    const long h0_start,
    __global const float *hidden,
    const long hidden_start,
    __global float *d_recurrent,
    const long d_recurrent_start,
    __global float *scratch,
    const long scratch_start,
    const long slopes_at,
    const int rows,
    const int columns,
    const int wide,
    const int features,
    const int units,
    const int early,
    const int late,
    const int batch)
{
    h0 += h0_start;
    hidden += hidden_start;
    d_recurrent += d_recurrent_start;
    scratch += scratch_start;
    __global float *slopes = scratch + slopes_at;
    __local float left[512], right[512];
    const int item = get_local_id(0);
    const int across = (early + 31) / 32;
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
    for (int k0 = 0; k0 < rows; k0 += 16) {
        for (int n = item; n < 512; n += 64) {
            const int k = k0 + n / 32;
            const int r = top + n % 32, c = side + n % 32;
            left[n] = k < rows && r < units ? (k < batch ? h0[(long)k * units + r] : hidden[(long)(k - batch) * units + r]) : 0;
            right[n] = k < rows && c < early ? slopes[(long)k * wide + c] : 0;
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
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 8;
        const float value = acc0_1;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 16;
        const float value = acc0_2;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 24;
        const float value = acc0_3;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 0;
        const float value = acc1_0;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 8;
        const float value = acc1_1;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 16;
        const float value = acc1_2;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 24;
        const float value = acc1_3;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 0;
        const float value = acc2_0;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 8;
        const float value = acc2_1;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 16;
        const float value = acc2_2;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 24;
        const float value = acc2_3;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 0;
        const float value = acc3_0;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 8;
        const float value = acc3_1;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 16;
        const float value = acc3_2;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 24;
        const float value = acc3_3;
        if (r < units && c < early) {
            d_recurrent[(long)r * columns + c] = value;
        }
    }
}

// model/gru_grad_layer: gru_grad
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void gru_grad_layer_gru_grad_d_recurrent_late(
    __global const float *h0,
    const long h0_start,
    __global const float *hidden,
    const long hidden_start,
    __global const float *gates,
    const long gates_start,
    __global float *d_recurrent,
    const long d_recurrent_start,
    __global float *scratch,
    const long scratch_start,
    const long slopes_at,
    const int rows,
    const int columns,
    const int wide,
    const int features,
    const int units,
    const int early,
    const int late,
    const int batch)
{
    h0 += h0_start;
    hidden += hidden_start;
    gates += gates_start;
    d_recurrent += d_recurrent_start;
    scratch += scratch_start;
    __global float *slopes = scratch + slopes_at;
    __local float left[512], right[512];
    const int item = get_local_id(0);
    const int across = (late + 31) / 32;
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
    for (int k0 = 0; k0 < rows; k0 += 16) {
        for (int n = item; n < 512; n += 64) {
            const int k = k0 + n / 32;
            const int r = top + n % 32, c = side + n % 32;
            left[n] = k < rows && r < units ? (k < batch ? h0[(long)k * units + r] : hidden[(long)(k - batch) * units + r]) * gates[(long)k * wide + 1 * units + r] : 0;
            right[n] = k < rows && c < late ? slopes[(long)k * wide + early + c] : 0;
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
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 8;
        const float value = acc0_1;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 16;
        const float value = acc0_2;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 0, c = side + own_column + 24;
        const float value = acc0_3;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 0;
        const float value = acc1_0;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 8;
        const float value = acc1_1;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 16;
        const float value = acc1_2;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 8, c = side + own_column + 24;
        const float value = acc1_3;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 0;
        const float value = acc2_0;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 8;
        const float value = acc2_1;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 16;
        const float value = acc2_2;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 16, c = side + own_column + 24;
        const float value = acc2_3;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 0;
        const float value = acc3_0;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 8;
        const float value = acc3_1;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 16;
        const float value = acc3_2;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
     {
        const int r = top + own_row + 24, c = side + own_column + 24;
        const float value = acc3_3;
        if (r < units && c < late) {
            d_recurrent[(long)r * columns + early + c] = value;
        }
    }
}

// model/gru_grad_layer: gru_grad
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void gru_grad_layer_gru_grad_d_bias(
    __global float *d_bias,
    const long d_bias_start,
    __global float *scratch,
    const long scratch_start,
    const long slopes_at,
    const int rows,
    const int columns,
    const int wide,
    const int units)
{
    d_bias += d_bias_start;
    scratch += scratch_start;
    __global float *slopes = scratch + slopes_at;
    const int c = (int)get_global_id(0);
    if (c >= 3 * units) return;
    const int column = c;
    float sum = 0;
    for (int r = 0; r < rows; ++r) {
        sum += slopes[(long)r * wide + column];
    }
    d_bias[c] = sum;
}
