// model/conv_layer: conv
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void conv_layer_conv(
    __global const float *x,
    const long x_start,
    __global const float *w,
    const long w_start,
    __global float *y0,
    const long y0_start,
    const int out0,
    const int in0,
    const int low0,
    const int in1,
    const int out1,
    const int strips,
    const int each,
    const int per_row)
{
    x += x_start;
    w += w_start;
    y0 += y0_start;
    const int turn = (int)get_group_id(0);
    const int f = 0;  // first channel of the block
    const int end = min((turn + 1) * each, strips);
    for (int strip = turn * each; strip < end;) {
        const int row = strip / per_row;
        const int begin = strip % per_row;
        const int o0 = row % out0;
        const int rest0 = row / out0;
        const int n = rest0;
        const int until = min(per_row, begin + end - strip);
        for (int k = begin; k < until; ++k) {
            const int o1 = k * 8;
            if (k == 0) {
                float16 a0_0 = 0, a1_0 = 0, a2_0 = 0, a3_0 = 0, a4_0 = 0, a5_0 = 0, a6_0 = 0, a7_0 = 0;
                float16 a0_1 = 0, a1_1 = 0, a2_1 = 0, a3_1 = 0, a4_1 = 0, a5_1 = 0, a6_1 = 0, a7_1 = 0;
                for (int t0 = 0; t0 < 3; ++t0) {
                    const int i0 = o0 + t0 - low0;
                    if (i0 < 0 || i0 >= in0) continue;
                    const int i1 = o1 - 1;
                    const int xi = ((n * in0 + i0) * in1 + i1) * 32;
                    const int wi = f + t0 * 3 * 1024;
                    for (int c = 0; c < 32; ++c) {
                        const float16 w0_0 = vload16(0, w + wi + c * 32);
                        const float16 w0_1 = vload16(0, w + wi + c * 32 + 16);
                        const float16 w1_0 = vload16(0, w + wi + c * 32 + 1024);
                        const float16 w1_1 = vload16(0, w + wi + c * 32 + 1040);
                        const float16 w2_0 = vload16(0, w + wi + c * 32 + 2048);
                        const float16 w2_1 = vload16(0, w + wi + c * 32 + 2064);
                        const float x1 = x[xi + 32 + c];
                        a1_0 = fma((float16)x1, w0_0, a1_0);
                        a1_1 = fma((float16)x1, w0_1, a1_1);
                        a0_0 = fma((float16)x1, w1_0, a0_0);
                        a0_1 = fma((float16)x1, w1_1, a0_1);
                        const float x2 = x[xi + 64 + c];
                        a2_0 = fma((float16)x2, w0_0, a2_0);
                        a2_1 = fma((float16)x2, w0_1, a2_1);
                        a1_0 = fma((float16)x2, w1_0, a1_0);
                        a1_1 = fma((float16)x2, w1_1, a1_1);
                        a0_0 = fma((float16)x2, w2_0, a0_0);
                        a0_1 = fma((float16)x2, w2_1, a0_1);
                        const float x3 = x[xi + 96 + c];
                        a3_0 = fma((float16)x3, w0_0, a3_0);
                        a3_1 = fma((float16)x3, w0_1, a3_1);
                        a2_0 = fma((float16)x3, w1_0, a2_0);
                        a2_1 = fma((float16)x3, w1_1, a2_1);
                        a1_0 = fma((float16)x3, w2_0, a1_0);
                        a1_1 = fma((float16)x3, w2_1, a1_1);
                        const float x4 = x[xi + 128 + c];
                        a4_0 = fma((float16)x4, w0_0, a4_0);
                        a4_1 = fma((float16)x4, w0_1, a4_1);
                        a3_0 = fma((float16)x4, w1_0, a3_0);
                        a3_1 = fma((float16)x4, w1_1, a3_1);
                        a2_0 = fma((float16)x4, w2_0, a2_0);
                        a2_1 = fma((float16)x4, w2_1, a2_1);
                        const float x5 = x[xi + 160 + c];
                        a5_0 = fma((float16)x5, w0_0, a5_0);
                        a5_1 = fma((float16)x5, w0_1, a5_1);
                        a4_0 = fma((float16)x5, w1_0, a4_0);
                        a4_1 = fma((float16)x5, w1_1, a4_1);
                        a3_0 = fma((float16)x5, w2_0, a3_0);
                        a3_1 = fma((float16)x5, w2_1, a3_1);
                        const float x6 = x[xi + 192 + c];
                        a6_0 = fma((float16)x6, w0_0, a6_0);
                        a6_1 = fma((float16)x6, w0_1, a6_1);
                        a5_0 = fma((float16)x6, w1_0, a5_0);
                        a5_1 = fma((float16)x6, w1_1, a5_1);
                        a4_0 = fma((float16)x6, w2_0, a4_0);
                        a4_1 = fma((float16)x6, w2_1, a4_1);
                        const float x7 = x[xi + 224 + c];
                        a7_0 = fma((float16)x7, w0_0, a7_0);
                        a7_1 = fma((float16)x7, w0_1, a7_1);
                        a6_0 = fma((float16)x7, w1_0, a6_0);
                        a6_1 = fma((float16)x7, w1_1, a6_1);
                        a5_0 = fma((float16)x7, w2_0, a5_0);
                        a5_1 = fma((float16)x7, w2_1, a5_1);
                        const float x8 = x[xi + 256 + c];
                        a7_0 = fma((float16)x8, w1_0, a7_0);
                        a7_1 = fma((float16)x8, w1_1, a7_1);
                        a6_0 = fma((float16)x8, w2_0, a6_0);
                        a6_1 = fma((float16)x8, w2_1, a6_1);
                        const float x9 = x[xi + 288 + c];
                        a7_0 = fma((float16)x9, w2_0, a7_0);
                        a7_1 = fma((float16)x9, w2_1, a7_1);
                    }
                }
                const int yi = ((n * out0 + o0) * out1 + o1) * 32 + f;
                vstore16(a0_0, 0, y0 + yi);
                vstore16(a0_1, 0, y0 + yi + 16);
                vstore16(a1_0, 0, y0 + yi + 32);
                vstore16(a1_1, 0, y0 + yi + 48);
                vstore16(a2_0, 0, y0 + yi + 64);
                vstore16(a2_1, 0, y0 + yi + 80);
                vstore16(a3_0, 0, y0 + yi + 96);
                vstore16(a3_1, 0, y0 + yi + 112);
                vstore16(a4_0, 0, y0 + yi + 128);
                vstore16(a4_1, 0, y0 + yi + 144);
                vstore16(a5_0, 0, y0 + yi + 160);
                vstore16(a5_1, 0, y0 + yi + 176);
                vstore16(a6_0, 0, y0 + yi + 192);
                vstore16(a6_1, 0, y0 + yi + 208);
                vstore16(a7_0, 0, y0 + yi + 224);
                vstore16(a7_1, 0, y0 + yi + 240);
            } else {
                float16 a0_0 = 0, a1_0 = 0, a2_0 = 0, a3_0 = 0, a4_0 = 0, a5_0 = 0, a6_0 = 0, a7_0 = 0;
                float16 a0_1 = 0, a1_1 = 0, a2_1 = 0, a3_1 = 0, a4_1 = 0, a5_1 = 0, a6_1 = 0, a7_1 = 0;
                for (int t0 = 0; t0 < 3; ++t0) {
                    const int i0 = o0 + t0 - low0;
                    if (i0 < 0 || i0 >= in0) continue;
                    const int i1 = o1 - 1;
                    const int xi = ((n * in0 + i0) * in1 + i1) * 32;
                    const int wi = f + t0 * 3 * 1024;
                    for (int c = 0; c < 32; ++c) {
                        const float16 w0_0 = vload16(0, w + wi + c * 32);
                        const float16 w0_1 = vload16(0, w + wi + c * 32 + 16);
                        const float16 w1_0 = vload16(0, w + wi + c * 32 + 1024);
                        const float16 w1_1 = vload16(0, w + wi + c * 32 + 1040);
                        const float16 w2_0 = vload16(0, w + wi + c * 32 + 2048);
                        const float16 w2_1 = vload16(0, w + wi + c * 32 + 2064);
                        const float x0 = x[xi + c];
                        a0_0 = fma((float16)x0, w0_0, a0_0);
                        a0_1 = fma((float16)x0, w0_1, a0_1);
                        const float x1 = x[xi + 32 + c];
                        a1_0 = fma((float16)x1, w0_0, a1_0);
                        a1_1 = fma((float16)x1, w0_1, a1_1);
                        a0_0 = fma((float16)x1, w1_0, a0_0);
                        a0_1 = fma((float16)x1, w1_1, a0_1);
                        const float x2 = x[xi + 64 + c];
                        a2_0 = fma((float16)x2, w0_0, a2_0);
                        a2_1 = fma((float16)x2, w0_1, a2_1);
                        a1_0 = fma((float16)x2, w1_0, a1_0);
                        a1_1 = fma((float16)x2, w1_1, a1_1);
                        a0_0 = fma((float16)x2, w2_0, a0_0);
                        a0_1 = fma((float16)x2, w2_1, a0_1);
                        const float x3 = x[xi + 96 + c];
                        a3_0 = fma((float16)x3, w0_0, a3_0);
                        a3_1 = fma((float16)x3, w0_1, a3_1);
                        a2_0 = fma((float16)x3, w1_0, a2_0);
                        a2_1 = fma((float16)x3, w1_1, a2_1);
                        a1_0 = fma((float16)x3, w2_0, a1_0);
                        a1_1 = fma((float16)x3, w2_1, a1_1);
                        const float x4 = x[xi + 128 + c];
                        a4_0 = fma((float16)x4, w0_0, a4_0);
                        a4_1 = fma((float16)x4, w0_1, a4_1);
                        a3_0 = fma((float16)x4, w1_0, a3_0);
                        a3_1 = fma((float16)x4, w1_1, a3_1);
                        a2_0 = fma((float16)x4, w2_0, a2_0);
                        a2_1 = fma((float16)x4, w2_1, a2_1);
                        const float x5 = x[xi + 160 + c];
                        a5_0 = fma((float16)x5, w0_0, a5_0);
                        a5_1 = fma((float16)x5, w0_1, a5_1);
                        a4_0 = fma((float16)x5, w1_0, a4_0);
                        a4_1 = fma((float16)x5, w1_1, a4_1);
                        a3_0 = fma((float16)x5, w2_0, a3_0);
                        a3_1 = fma((float16)x5, w2_1, a3_1);
                        const float x6 = x[xi + 192 + c];
                        a6_0 = fma((float16)x6, w0_0, a6_0);
                        a6_1 = fma((float16)x6, w0_1, a6_1);
                        a5_0 = fma((float16)x6, w1_0, a5_0);
                        a5_1 = fma((float16)x6, w1_1, a5_1);
                        a4_0 = fma((float16)x6, w2_0, a4_0);
                        a4_1 = fma((float16)x6, w2_1, a4_1);
                        const float x7 = x[xi + 224 + c];
                        a7_0 = fma((float16)x7, w0_0, a7_0);
                        a7_1 = fma((float16)x7, w0_1, a7_1);
                        a6_0 = fma((float16)x7, w1_0, a6_0);
                        a6_1 = fma((float16)x7, w1_1, a6_1);
                        a5_0 = fma((float16)x7, w2_0, a5_0);
                        a5_1 = fma((float16)x7, w2_1, a5_1);
                        const float x8 = x[xi + 256 + c];
                        a7_0 = fma((float16)x8, w1_0, a7_0);
                        a7_1 = fma((float16)x8, w1_1, a7_1);
                        a6_0 = fma((float16)x8, w2_0, a6_0);
                        a6_1 = fma((float16)x8, w2_1, a6_1);
                    }
                }
                const int yi = ((n * out0 + o0) * out1 + o1) * 32 + f;
                vstore16(a0_0, 0, y0 + yi);
                vstore16(a0_1, 0, y0 + yi + 16);
                vstore16(a1_0, 0, y0 + yi + 32);
                vstore16(a1_1, 0, y0 + yi + 48);
                vstore16(a2_0, 0, y0 + yi + 64);
                vstore16(a2_1, 0, y0 + yi + 80);
                vstore16(a3_0, 0, y0 + yi + 96);
                vstore16(a3_1, 0, y0 + yi + 112);
                vstore16(a4_0, 0, y0 + yi + 128);
                vstore16(a4_1, 0, y0 + yi + 144);
                vstore16(a5_0, 0, y0 + yi + 160);
                vstore16(a5_1, 0, y0 + yi + 176);
                vstore16(a6_0, 0, y0 + yi + 192);
                vstore16(a6_1, 0, y0 + yi + 208);
                vstore16(a7_0, 0, y0 + yi + 224);
                vstore16(a7_1, 0, y0 + yi + 240);
            }
        }
        strip += until - begin;
    }
}
