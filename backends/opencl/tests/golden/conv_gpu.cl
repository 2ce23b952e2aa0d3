// model/conv_layer: conv
__kernel __attribute__((reqd_work_group_size(256, 1, 1)))
void conv_layer_conv(
    __global const float *x,
    const long x_start,
    __global const float *w,
    const long w_start,
    __global float *y0,
    const long y0_start,
    const int rows,
    const int column_tiles,
    const int groups,
    const int row_tiles,
    const int out1,
    const int low1,
    const int out0,
    const int low0,
    const int in0,
    const int in1,
    const int full0,
    const int full1)
{
    x += x_start;
    w += w_start;
    y0 += y0_start;
    __local float left[16][65];
    __local float right[16][32];
    const int lane = (int)get_local_id(0);
    const int number = (int)get_group_id(0);
    const int first_column = number % column_tiles * 32;
    const int group = number / column_tiles % groups;
    const int tile = number / column_tiles / groups;
    const int first_row = tile % row_tiles * 64;
    float a0_0 = 0, a0_1 = 0;
    float a1_0 = 0, a1_1 = 0;
    float a2_0 = 0, a2_1 = 0;
    float a3_0 = 0, a3_1 = 0;
    const int m0 = first_row + lane / 16 + 0;
    const int b1_0 = m0 % out1 - low1;
    const int q1_0 = m0 / out1;
    const int b0_0 = q1_0 % out0 - low0;
    const int q0_0 = q1_0 / out0;
    const int n_0 = q0_0;
    const int m1 = first_row + lane / 16 + 16;
    const int b1_1 = m1 % out1 - low1;
    const int q1_1 = m1 / out1;
    const int b0_1 = q1_1 % out0 - low0;
    const int q0_1 = q1_1 / out0;
    const int n_1 = q0_1;
    const int m2 = first_row + lane / 16 + 32;
    const int b1_2 = m2 % out1 - low1;
    const int q1_2 = m2 / out1;
    const int b0_2 = q1_2 % out0 - low0;
    const int q0_2 = q1_2 / out0;
    const int n_2 = q0_2;
    const int m3 = first_row + lane / 16 + 48;
    const int b1_3 = m3 % out1 - low1;
    const int q1_3 = m3 / out1;
    const int b0_3 = q1_3 % out0 - low0;
    const int q0_3 = q1_3 / out0;
    const int n_3 = q0_3;
    const int row = lane / 16;
    const int column = lane % 16;
    for (int first = 0; first < 45; first += 16) {
        const int k = first + lane % 16;
        const int c = k % 5;
        const int t1 = k / 5 % 3;
        const int t0 = k / 5 / 3;
        {
            const int i0 = b0_0 + t0;
            const int i1 = b1_0 + t1;
            left[lane % 16][lane / 16 + 0] = k < 45 && m0 < rows && i0 >= 0 && i0 < in0 && i1 >= 0 && i1 < in1 ? x[((n_0 * in0 + i0) * in1 + i1) * 5 + group * 5 + c] : 0;
        }
        {
            const int i0 = b0_1 + t0;
            const int i1 = b1_1 + t1;
            left[lane % 16][lane / 16 + 16] = k < 45 && m1 < rows && i0 >= 0 && i0 < in0 && i1 >= 0 && i1 < in1 ? x[((n_1 * in0 + i0) * in1 + i1) * 5 + group * 5 + c] : 0;
        }
        {
            const int i0 = b0_2 + t0;
            const int i1 = b1_2 + t1;
            left[lane % 16][lane / 16 + 32] = k < 45 && m2 < rows && i0 >= 0 && i0 < in0 && i1 >= 0 && i1 < in1 ? x[((n_2 * in0 + i0) * in1 + i1) * 5 + group * 5 + c] : 0;
        }
        {
            const int i0 = b0_3 + t0;
            const int i1 = b1_3 + t1;
            left[lane % 16][lane / 16 + 48] = k < 45 && m3 < rows && i0 >= 0 && i0 < in0 && i1 >= 0 && i1 < in1 ? x[((n_3 * in0 + i0) * in1 + i1) * 5 + group * 5 + c] : 0;
        }
        const int f = first_column + lane % 32;
        {
            const int kw = first + lane / 32;
            const int c_w = kw % 5;
            const int t1_w = kw / 5 % 3;
            const int t0_w = kw / 5 / 3;
            right[lane / 32][lane % 32] = kw < 45 && f < 33 ? w[((t0_w * 3 + t1_w * 1) * 5 + c_w) * 33 + group * 33 + f] : 0;
        }
        {
            const int kw = first + lane / 32 + 8;
            const int c_w = kw % 5;
            const int t1_w = kw / 5 % 3;
            const int t0_w = kw / 5 / 3;
            right[lane / 32 + 8][lane % 32] = kw < 45 && f < 33 ? w[((t0_w * 3 + t1_w * 1) * 5 + c_w) * 33 + group * 33 + f] : 0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < 16; ++k) {
            const float l0 = left[k][row + 0];
            const float l1 = left[k][row + 16];
            const float l2 = left[k][row + 32];
            const float l3 = left[k][row + 48];
            const float r0 = right[k][column + 0];
            const float r1 = right[k][column + 16];
            a0_0 = fma(l0, r0, a0_0);
            a0_1 = fma(l0, r1, a0_1);
            a1_0 = fma(l1, r0, a1_0);
            a1_1 = fma(l1, r1, a1_1);
            a2_0 = fma(l2, r0, a2_0);
            a2_1 = fma(l2, r1, a2_1);
            a3_0 = fma(l3, r0, a3_0);
            a3_1 = fma(l3, r1, a3_1);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    const int m_y0 = first_row + row + 0;
    const int o1_y0 = m_y0 % out1;
    const int o0_y0 = (m_y0 / out1) % out0;
    const int y_y0 = ((((m_y0 / out1) / out0) * full0 + o0_y0) * full1 + o1_y0) * 33 + group * 33;
    if (m_y0 < rows && first_column + column + 0 < 33) {
        const int f = first_column + column + 0;
        const int i = y_y0 + f;
        const int c = group * 33 + f;
        y0[i] = a0_0;
    }
    if (m_y0 < rows && first_column + column + 16 < 33) {
        const int f = first_column + column + 16;
        const int i = y_y0 + f;
        const int c = group * 33 + f;
        y0[i] = a0_1;
    }
    const int m_y1 = first_row + row + 16;
    const int o1_y1 = m_y1 % out1;
    const int o0_y1 = (m_y1 / out1) % out0;
    const int y_y1 = ((((m_y1 / out1) / out0) * full0 + o0_y1) * full1 + o1_y1) * 33 + group * 33;
    if (m_y1 < rows && first_column + column + 0 < 33) {
        const int f = first_column + column + 0;
        const int i = y_y1 + f;
        const int c = group * 33 + f;
        y0[i] = a1_0;
    }
    if (m_y1 < rows && first_column + column + 16 < 33) {
        const int f = first_column + column + 16;
        const int i = y_y1 + f;
        const int c = group * 33 + f;
        y0[i] = a1_1;
    }
    const int m_y2 = first_row + row + 32;
    const int o1_y2 = m_y2 % out1;
    const int o0_y2 = (m_y2 / out1) % out0;
    const int y_y2 = ((((m_y2 / out1) / out0) * full0 + o0_y2) * full1 + o1_y2) * 33 + group * 33;
    if (m_y2 < rows && first_column + column + 0 < 33) {
        const int f = first_column + column + 0;
        const int i = y_y2 + f;
        const int c = group * 33 + f;
        y0[i] = a2_0;
    }
    if (m_y2 < rows && first_column + column + 16 < 33) {
        const int f = first_column + column + 16;
        const int i = y_y2 + f;
        const int c = group * 33 + f;
        y0[i] = a2_1;
    }
    const int m_y3 = first_row + row + 48;
    const int o1_y3 = m_y3 % out1;
    const int o0_y3 = (m_y3 / out1) % out0;
    const int y_y3 = ((((m_y3 / out1) / out0) * full0 + o0_y3) * full1 + o1_y3) * 33 + group * 33;
    if (m_y3 < rows && first_column + column + 0 < 33) {
        const int f = first_column + column + 0;
        const int i = y_y3 + f;
        const int c = group * 33 + f;
        y0[i] = a3_0;
    }
    if (m_y3 < rows && first_column + column + 16 < 33) {
        const int f = first_column + column + 16;
        const int i = y_y3 + f;
        const int c = group * 33 + f;
        y0[i] = a3_1;
    }
}
