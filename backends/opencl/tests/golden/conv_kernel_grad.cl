// model/conv_kernel_grad_layer: conv_kernel_grad
__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void conv_kernel_grad_layer_conv_kernel_grad(
    __global const float *x,
    const long x_start,
    __global const float *g,
    const long g_start,
    __global float *sums,
    const long sums_start,
    const int rows_parts,
    const int rows_each,
    const int pixels_parts,
    const int pixels_each,
    const int units,
    const int units_each,
    const int out0,
    const int out1,
    const int in0,
    const int low0,
    const int in1,
    const int low1)
{
    x += x_start;
    g += g_start;
    sums += sums_start;
    const int split = (int)get_group_id(0) / 2;
    const int column = (int)get_group_id(0) % 2;
    const int f = column * 32;  // first output channel
    sums += split * (long)36864 + f;
    for (int e = 0; e < 576; ++e) {
        vstore16((float16)0, 0, sums + e * 64);
        vstore16((float16)0, 0, sums + e * 64 + 16);
    }
    const int units_end = min((split + 1) * units_each, units);
    for (int unit = split * units_each; unit < units_end; ++unit) {
        const int o1_begin = unit % pixels_parts * pixels_each;
        const int rest = unit / pixels_parts;
        const int o0_begin = rest % rows_parts * rows_each;
        const int rest0 = rest / rows_parts;
        const int n = rest0;
        const int o0_end = min(o0_begin + rows_each, out0);
        const int o1_end = min(o1_begin + pixels_each, out1);
        for (int t0 = 0; t0 < 3; ++t0) {
            const int reach0 = t0 - low0;
            const int o0_low = max(o0_begin, max(-(reach0), (int)0));
            const int o0_high = min(o0_end, max(in0 - (reach0), (int)0));
            for (int t1 = 0; t1 < 3; ++t1) {
                const int reach1 = t1 - low1;
                const int o1_low = max(o1_begin, max(-(reach1), (int)0));
                const int o1_high = min(o1_end, max(in1 - (reach1), (int)0));
                for (int c = 0; c < 60; c += 6) {
                    const int si = (t0 * 3 + t1) * 4096 + c * 64;
                    float16 a0_0_0 = vload16(0, sums + si);
                    float16 a0_0_1 = vload16(0, sums + si + 16);
                    float16 a0_1_0 = vload16(0, sums + si + 64);
                    float16 a0_1_1 = vload16(0, sums + si + 80);
                    float16 a0_2_0 = vload16(0, sums + si + 128);
                    float16 a0_2_1 = vload16(0, sums + si + 144);
                    float16 a0_3_0 = vload16(0, sums + si + 192);
                    float16 a0_3_1 = vload16(0, sums + si + 208);
                    float16 a0_4_0 = vload16(0, sums + si + 256);
                    float16 a0_4_1 = vload16(0, sums + si + 272);
                    float16 a0_5_0 = vload16(0, sums + si + 320);
                    float16 a0_5_1 = vload16(0, sums + si + 336);
                    for (int o0 = o0_low; o0 < o0_high; ++o0) {
                        const int i0 = o0 + reach0;
                        const int xi = (n * in0 + i0) * in1 * 64 + c;
                        const int gi = (n * out0 + o0) * out1 * 64 + f;
                        for (int o1 = o1_low; o1 < o1_high; ++o1) {
                            const int i = o1 + reach1;
                            const float16 g0 = vload16(0, g + gi + o1 * 64);
                            const float16 g1 = vload16(0, g + gi + o1 * 64 + 16);
                            const float x0_0 = x[xi + i * 64];
                            a0_0_0 = fma((float16)x0_0, g0, a0_0_0);
                            a0_0_1 = fma((float16)x0_0, g1, a0_0_1);
                            const float x0_1 = x[xi + i * 64 + 1];
                            a0_1_0 = fma((float16)x0_1, g0, a0_1_0);
                            a0_1_1 = fma((float16)x0_1, g1, a0_1_1);
                            const float x0_2 = x[xi + i * 64 + 2];
                            a0_2_0 = fma((float16)x0_2, g0, a0_2_0);
                            a0_2_1 = fma((float16)x0_2, g1, a0_2_1);
                            const float x0_3 = x[xi + i * 64 + 3];
                            a0_3_0 = fma((float16)x0_3, g0, a0_3_0);
                            a0_3_1 = fma((float16)x0_3, g1, a0_3_1);
                            const float x0_4 = x[xi + i * 64 + 4];
                            a0_4_0 = fma((float16)x0_4, g0, a0_4_0);
                            a0_4_1 = fma((float16)x0_4, g1, a0_4_1);
                            const float x0_5 = x[xi + i * 64 + 5];
                            a0_5_0 = fma((float16)x0_5, g0, a0_5_0);
                            a0_5_1 = fma((float16)x0_5, g1, a0_5_1);
                        }
                    }
                    vstore16(a0_0_0, 0, sums + si);
                    vstore16(a0_0_1, 0, sums + si + 16);
                    vstore16(a0_1_0, 0, sums + si + 64);
                    vstore16(a0_1_1, 0, sums + si + 80);
                    vstore16(a0_2_0, 0, sums + si + 128);
                    vstore16(a0_2_1, 0, sums + si + 144);
                    vstore16(a0_3_0, 0, sums + si + 192);
                    vstore16(a0_3_1, 0, sums + si + 208);
                    vstore16(a0_4_0, 0, sums + si + 256);
                    vstore16(a0_4_1, 0, sums + si + 272);
                    vstore16(a0_5_0, 0, sums + si + 320);
                    vstore16(a0_5_1, 0, sums + si + 336);
                }
                {
                    const int c = 60;
                    const int si = (t0 * 3 + t1) * 4096 + c * 64;
                    float16 a0_0_0 = vload16(0, sums + si);
                    float16 a0_0_1 = vload16(0, sums + si + 16);
                    float16 a0_1_0 = vload16(0, sums + si + 64);
                    float16 a0_1_1 = vload16(0, sums + si + 80);
                    float16 a0_2_0 = vload16(0, sums + si + 128);
                    float16 a0_2_1 = vload16(0, sums + si + 144);
                    float16 a0_3_0 = vload16(0, sums + si + 192);
                    float16 a0_3_1 = vload16(0, sums + si + 208);
                    for (int o0 = o0_low; o0 < o0_high; ++o0) {
                        const int i0 = o0 + reach0;
                        const int xi = (n * in0 + i0) * in1 * 64 + c;
                        const int gi = (n * out0 + o0) * out1 * 64 + f;
                        for (int o1 = o1_low; o1 < o1_high; ++o1) {
                            const int i = o1 + reach1;
                            const float16 g0 = vload16(0, g + gi + o1 * 64);
                            const float16 g1 = vload16(0, g + gi + o1 * 64 + 16);
                            const float x0_0 = x[xi + i * 64];
                            a0_0_0 = fma((float16)x0_0, g0, a0_0_0);
                            a0_0_1 = fma((float16)x0_0, g1, a0_0_1);
                            const float x0_1 = x[xi + i * 64 + 1];
                            a0_1_0 = fma((float16)x0_1, g0, a0_1_0);
                            a0_1_1 = fma((float16)x0_1, g1, a0_1_1);
                            const float x0_2 = x[xi + i * 64 + 2];
                            a0_2_0 = fma((float16)x0_2, g0, a0_2_0);
                            a0_2_1 = fma((float16)x0_2, g1, a0_2_1);
                            const float x0_3 = x[xi + i * 64 + 3];
                            a0_3_0 = fma((float16)x0_3, g0, a0_3_0);
                            a0_3_1 = fma((float16)x0_3, g1, a0_3_1);
                        }
                    }
                    vstore16(a0_0_0, 0, sums + si);
                    vstore16(a0_0_1, 0, sums + si + 16);
                    vstore16(a0_1_0, 0, sums + si + 64);
                    vstore16(a0_1_1, 0, sums + si + 80);
                    vstore16(a0_2_0, 0, sums + si + 128);
                    vstore16(a0_2_1, 0, sums + si + 144);
                    vstore16(a0_3_0, 0, sums + si + 192);
                    vstore16(a0_3_1, 0, sums + si + 208);
                }
            }
        }
    }
}

// model/conv_kernel_grad_layer: conv_kernel_grad
__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void conv_kernel_grad_layer_conv_kernel_grad_added(
    __global const float *sums,
    const long sums_start,
    __global float *y0,
    const long y0_start,
    const int n,
    const int splits)
{
    sums += sums_start;
    y0 += y0_start;
    const int i = (int)get_global_id(0);
    if (i < n) {
        float total = 0;
        for (int s = 0; s < splits; ++s) {
            total += sums[s * n + i];
        }
        y0[i] = total;
    }
}
