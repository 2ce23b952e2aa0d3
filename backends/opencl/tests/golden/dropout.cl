// model/dropout_layer: dropout
// Philox4x64-10 (Salmon et al. 2011): the words of 16 blocks from `first` on, under the key (seed, 0)
static inline void philox_blocks(
    const ulong first, const ulong seed, const ulong call,
    ulong16 *c0, ulong16 *c1, ulong16 *c2, ulong16 *c3)
{
    const ulong16 block = first + (ulong16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const ulong16 low_0 = 0xE14C6C93UL * block;
    const ulong16 cross_0 = 0xD2E7470EUL * block + (low_0 >> 32);
    const ulong key_1 = seed ^ call;
    const ulong16 z1 = cross_0 >> 32;
    const ulong16 w1 = (cross_0 << 32) | (low_0 & 0xFFFFFFFFUL);
    const ulong16 even1_1 = z1 & 0xFFFFFFFFUL, odd1_1 = z1 >> 32;
    const ulong16 base1_1 = 0x95121157UL * even1_1;
    const ulong16 cross1_1 = 0xCA5A8263UL * even1_1 + (base1_1 >> 32);
    const ulong16 other1_1 = 0x95121157UL * odd1_1 + (cross1_1 & 0xFFFFFFFFUL);
    const ulong16 high1_1 = 0xCA5A8263UL * odd1_1 + (cross1_1 >> 32) + (other1_1 >> 32);
    const ulong16 low1_1 = (other1_1 << 32) | (base1_1 & 0xFFFFFFFFUL);
    const ulong16 x2 = high1_1 ^ (seed + 0x9E3779B97F4A7C15UL);
    const ulong16 y2 = low1_1;
    const ulong16 z2 = w1 ^ (mul_hi(0xD2E7470EE14C6C93UL, key_1) ^ 0xBB67AE8584CAA73BUL);
    const ulong16 w2 = 0xD2E7470EE14C6C93UL * key_1;
    const ulong16 even0_2 = x2 & 0xFFFFFFFFUL, odd0_2 = x2 >> 32;
    const ulong16 base0_2 = 0xE14C6C93UL * even0_2;
    const ulong16 cross0_2 = 0xD2E7470EUL * even0_2 + (base0_2 >> 32);
    const ulong16 other0_2 = 0xE14C6C93UL * odd0_2 + (cross0_2 & 0xFFFFFFFFUL);
    const ulong16 high0_2 = 0xD2E7470EUL * odd0_2 + (cross0_2 >> 32) + (other0_2 >> 32);
    const ulong16 low0_2 = (other0_2 << 32) | (base0_2 & 0xFFFFFFFFUL);
    const ulong16 even1_2 = z2 & 0xFFFFFFFFUL, odd1_2 = z2 >> 32;
    const ulong16 base1_2 = 0x95121157UL * even1_2;
    const ulong16 cross1_2 = 0xCA5A8263UL * even1_2 + (base1_2 >> 32);
    const ulong16 other1_2 = 0x95121157UL * odd1_2 + (cross1_2 & 0xFFFFFFFFUL);
    const ulong16 high1_2 = 0xCA5A8263UL * odd1_2 + (cross1_2 >> 32) + (other1_2 >> 32);
    const ulong16 low1_2 = (other1_2 << 32) | (base1_2 & 0xFFFFFFFFUL);
    const ulong16 x3 = high1_2 ^ y2 ^ (seed + 0x3C6EF372FE94F82AUL), y3 = low1_2;
    const ulong16 z3 = high0_2 ^ w2 ^ 0x76CF5D0B09954E76UL, w3 = low0_2;
    const ulong16 even0_3 = x3 & 0xFFFFFFFFUL, odd0_3 = x3 >> 32;
    const ulong16 base0_3 = 0xE14C6C93UL * even0_3;
    const ulong16 cross0_3 = 0xD2E7470EUL * even0_3 + (base0_3 >> 32);
    const ulong16 other0_3 = 0xE14C6C93UL * odd0_3 + (cross0_3 & 0xFFFFFFFFUL);
    const ulong16 high0_3 = 0xD2E7470EUL * odd0_3 + (cross0_3 >> 32) + (other0_3 >> 32);
    const ulong16 low0_3 = (other0_3 << 32) | (base0_3 & 0xFFFFFFFFUL);
    const ulong16 even1_3 = z3 & 0xFFFFFFFFUL, odd1_3 = z3 >> 32;
    const ulong16 base1_3 = 0x95121157UL * even1_3;
    const ulong16 cross1_3 = 0xCA5A8263UL * even1_3 + (base1_3 >> 32);
    const ulong16 other1_3 = 0x95121157UL * odd1_3 + (cross1_3 & 0xFFFFFFFFUL);
    const ulong16 high1_3 = 0xCA5A8263UL * odd1_3 + (cross1_3 >> 32) + (other1_3 >> 32);
    const ulong16 low1_3 = (other1_3 << 32) | (base1_3 & 0xFFFFFFFFUL);
    const ulong16 x4 = high1_3 ^ y3 ^ (seed + 0xDAA66D2C7DDF743FUL), y4 = low1_3;
    const ulong16 z4 = high0_3 ^ w3 ^ 0x32370B908E5FF5B1UL, w4 = low0_3;
    const ulong16 even0_4 = x4 & 0xFFFFFFFFUL, odd0_4 = x4 >> 32;
    const ulong16 base0_4 = 0xE14C6C93UL * even0_4;
    const ulong16 cross0_4 = 0xD2E7470EUL * even0_4 + (base0_4 >> 32);
    const ulong16 other0_4 = 0xE14C6C93UL * odd0_4 + (cross0_4 & 0xFFFFFFFFUL);
    const ulong16 high0_4 = 0xD2E7470EUL * odd0_4 + (cross0_4 >> 32) + (other0_4 >> 32);
    const ulong16 low0_4 = (other0_4 << 32) | (base0_4 & 0xFFFFFFFFUL);
    const ulong16 even1_4 = z4 & 0xFFFFFFFFUL, odd1_4 = z4 >> 32;
    const ulong16 base1_4 = 0x95121157UL * even1_4;
    const ulong16 cross1_4 = 0xCA5A8263UL * even1_4 + (base1_4 >> 32);
    const ulong16 other1_4 = 0x95121157UL * odd1_4 + (cross1_4 & 0xFFFFFFFFUL);
    const ulong16 high1_4 = 0xCA5A8263UL * odd1_4 + (cross1_4 >> 32) + (other1_4 >> 32);
    const ulong16 low1_4 = (other1_4 << 32) | (base1_4 & 0xFFFFFFFFUL);
    const ulong16 x5 = high1_4 ^ y4 ^ (seed + 0x78DDE6E5FD29F054UL), y5 = low1_4;
    const ulong16 z5 = high0_4 ^ w4 ^ 0xED9EBA16132A9CECUL, w5 = low0_4;
    const ulong16 even0_5 = x5 & 0xFFFFFFFFUL, odd0_5 = x5 >> 32;
    const ulong16 base0_5 = 0xE14C6C93UL * even0_5;
    const ulong16 cross0_5 = 0xD2E7470EUL * even0_5 + (base0_5 >> 32);
    const ulong16 other0_5 = 0xE14C6C93UL * odd0_5 + (cross0_5 & 0xFFFFFFFFUL);
    const ulong16 high0_5 = 0xD2E7470EUL * odd0_5 + (cross0_5 >> 32) + (other0_5 >> 32);
    const ulong16 low0_5 = (other0_5 << 32) | (base0_5 & 0xFFFFFFFFUL);
    const ulong16 even1_5 = z5 & 0xFFFFFFFFUL, odd1_5 = z5 >> 32;
    const ulong16 base1_5 = 0x95121157UL * even1_5;
    const ulong16 cross1_5 = 0xCA5A8263UL * even1_5 + (base1_5 >> 32);
    const ulong16 other1_5 = 0x95121157UL * odd1_5 + (cross1_5 & 0xFFFFFFFFUL);
    const ulong16 high1_5 = 0xCA5A8263UL * odd1_5 + (cross1_5 >> 32) + (other1_5 >> 32);
    const ulong16 low1_5 = (other1_5 << 32) | (base1_5 & 0xFFFFFFFFUL);
    const ulong16 x6 = high1_5 ^ y5 ^ (seed + 0x1715609F7C746C69UL), y6 = low1_5;
    const ulong16 z6 = high0_5 ^ w5 ^ 0xA906689B97F54427UL, w6 = low0_5;
    const ulong16 even0_6 = x6 & 0xFFFFFFFFUL, odd0_6 = x6 >> 32;
    const ulong16 base0_6 = 0xE14C6C93UL * even0_6;
    const ulong16 cross0_6 = 0xD2E7470EUL * even0_6 + (base0_6 >> 32);
    const ulong16 other0_6 = 0xE14C6C93UL * odd0_6 + (cross0_6 & 0xFFFFFFFFUL);
    const ulong16 high0_6 = 0xD2E7470EUL * odd0_6 + (cross0_6 >> 32) + (other0_6 >> 32);
    const ulong16 low0_6 = (other0_6 << 32) | (base0_6 & 0xFFFFFFFFUL);
    const ulong16 even1_6 = z6 & 0xFFFFFFFFUL, odd1_6 = z6 >> 32;
    const ulong16 base1_6 = 0x95121157UL * even1_6;
    const ulong16 cross1_6 = 0xCA5A8263UL * even1_6 + (base1_6 >> 32);
    const ulong16 other1_6 = 0x95121157UL * odd1_6 + (cross1_6 & 0xFFFFFFFFUL);
    const ulong16 high1_6 = 0xCA5A8263UL * odd1_6 + (cross1_6 >> 32) + (other1_6 >> 32);
    const ulong16 low1_6 = (other1_6 << 32) | (base1_6 & 0xFFFFFFFFUL);
    const ulong16 x7 = high1_6 ^ y6 ^ (seed + 0xB54CDA58FBBEE87EUL), y7 = low1_6;
    const ulong16 z7 = high0_6 ^ w6 ^ 0x646E17211CBFEB62UL, w7 = low0_6;
    const ulong16 even0_7 = x7 & 0xFFFFFFFFUL, odd0_7 = x7 >> 32;
    const ulong16 base0_7 = 0xE14C6C93UL * even0_7;
    const ulong16 cross0_7 = 0xD2E7470EUL * even0_7 + (base0_7 >> 32);
    const ulong16 other0_7 = 0xE14C6C93UL * odd0_7 + (cross0_7 & 0xFFFFFFFFUL);
    const ulong16 high0_7 = 0xD2E7470EUL * odd0_7 + (cross0_7 >> 32) + (other0_7 >> 32);
    const ulong16 low0_7 = (other0_7 << 32) | (base0_7 & 0xFFFFFFFFUL);
    const ulong16 even1_7 = z7 & 0xFFFFFFFFUL, odd1_7 = z7 >> 32;
    const ulong16 base1_7 = 0x95121157UL * even1_7;
    const ulong16 cross1_7 = 0xCA5A8263UL * even1_7 + (base1_7 >> 32);
    const ulong16 other1_7 = 0x95121157UL * odd1_7 + (cross1_7 & 0xFFFFFFFFUL);
    const ulong16 high1_7 = 0xCA5A8263UL * odd1_7 + (cross1_7 >> 32) + (other1_7 >> 32);
    const ulong16 low1_7 = (other1_7 << 32) | (base1_7 & 0xFFFFFFFFUL);
    const ulong16 x8 = high1_7 ^ y7 ^ (seed + 0x538454127B096493UL), y8 = low1_7;
    const ulong16 z8 = high0_7 ^ w7 ^ 0x1FD5C5A6A18A929DUL, w8 = low0_7;
    const ulong16 even0_8 = x8 & 0xFFFFFFFFUL, odd0_8 = x8 >> 32;
    const ulong16 base0_8 = 0xE14C6C93UL * even0_8;
    const ulong16 cross0_8 = 0xD2E7470EUL * even0_8 + (base0_8 >> 32);
    const ulong16 other0_8 = 0xE14C6C93UL * odd0_8 + (cross0_8 & 0xFFFFFFFFUL);
    const ulong16 high0_8 = 0xD2E7470EUL * odd0_8 + (cross0_8 >> 32) + (other0_8 >> 32);
    const ulong16 low0_8 = (other0_8 << 32) | (base0_8 & 0xFFFFFFFFUL);
    const ulong16 even1_8 = z8 & 0xFFFFFFFFUL, odd1_8 = z8 >> 32;
    const ulong16 base1_8 = 0x95121157UL * even1_8;
    const ulong16 cross1_8 = 0xCA5A8263UL * even1_8 + (base1_8 >> 32);
    const ulong16 other1_8 = 0x95121157UL * odd1_8 + (cross1_8 & 0xFFFFFFFFUL);
    const ulong16 high1_8 = 0xCA5A8263UL * odd1_8 + (cross1_8 >> 32) + (other1_8 >> 32);
    const ulong16 low1_8 = (other1_8 << 32) | (base1_8 & 0xFFFFFFFFUL);
    const ulong16 x9 = high1_8 ^ y8 ^ (seed + 0xF1BBCDCBFA53E0A8UL), y9 = low1_8;
    const ulong16 z9 = high0_8 ^ w8 ^ 0xDB3D742C265539D8UL, w9 = low0_8;
    const ulong16 even0_9 = x9 & 0xFFFFFFFFUL, odd0_9 = x9 >> 32;
    const ulong16 base0_9 = 0xE14C6C93UL * even0_9;
    const ulong16 cross0_9 = 0xD2E7470EUL * even0_9 + (base0_9 >> 32);
    const ulong16 other0_9 = 0xE14C6C93UL * odd0_9 + (cross0_9 & 0xFFFFFFFFUL);
    const ulong16 high0_9 = 0xD2E7470EUL * odd0_9 + (cross0_9 >> 32) + (other0_9 >> 32);
    const ulong16 low0_9 = (other0_9 << 32) | (base0_9 & 0xFFFFFFFFUL);
    const ulong16 even1_9 = z9 & 0xFFFFFFFFUL, odd1_9 = z9 >> 32;
    const ulong16 base1_9 = 0x95121157UL * even1_9;
    const ulong16 cross1_9 = 0xCA5A8263UL * even1_9 + (base1_9 >> 32);
    const ulong16 other1_9 = 0x95121157UL * odd1_9 + (cross1_9 & 0xFFFFFFFFUL);
    const ulong16 high1_9 = 0xCA5A8263UL * odd1_9 + (cross1_9 >> 32) + (other1_9 >> 32);
    const ulong16 low1_9 = (other1_9 << 32) | (base1_9 & 0xFFFFFFFFUL);
    const ulong16 x10 = high1_9 ^ y9 ^ (seed + 0x8FF34785799E5CBDUL), y10 = low1_9;
    const ulong16 z10 = high0_9 ^ w9 ^ 0x96A522B1AB1FE113UL, w10 = low0_9;
    *c0 = x10;
    *c1 = y10;
    *c2 = z10;
    *c3 = w10;
}
static inline float16 read_float32(__global const float *p, const long i, const long n)
{
    float room[16];
    for (int k = 0; k < 16; ++k) room[k] = i + k < n ? p[i + k] : 0;
    return vload16(0, room);
}
static inline void write_float32(float16 value, __global float *p, const long i, const long n)
{
    float room[16];
    vstore16(value, 0, room);
    for (int k = 0; k < 16 && i + k < n; ++k) p[i + k] = room[k];
}
static inline void write_bool(uchar16 value, __global uchar *p, const long i, const long n)
{
    uchar room[16];
    vstore16(value, 0, room);
    for (int k = 0; k < 16 && i + k < n; ++k) p[i + k] = room[k];
}
static inline void store_part(
    const ushort16 lane, __global const float *x, __global float *y, __global uchar *kept, const int i)
{
    const float16 x_ = vload16(0, x + i);
    const int16 keep = convert_uint16(lane) >= (uint16)(16384u);
    const float16 y_ = keep ? x_ * (float16)(1.3333334f) : (float16)(0.0f);
    const uchar16 kept_ = convert_uchar16(keep & 1);
    vstore16(y_, 0, y + i);
    vstore16(kept_, 0, kept + i);
}
static inline void store_edge(
    const ushort16 lane, __global const float *x, __global float *y, __global uchar *kept, const int i, const int n)
{
    const float16 x_ = read_float32(x, i, n);
    const int16 keep = convert_uint16(lane) >= (uint16)(16384u);
    const float16 y_ = keep ? x_ * (float16)(1.3333334f) : (float16)(0.0f);
    const uchar16 kept_ = convert_uchar16(keep & 1);
    write_float32(y_, y, i, n);
    write_bool(kept_, kept, i, n);
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void dropout_layer_dropout(
    __global const uint *state,
    const long state_start,
    __global const float *x,
    const long x_start,
    __global float *y,
    const long y_start,
    __global uchar *kept,
    const long kept_start,
    const int n,
    const int share)
{
    state += state_start;
    x += x_start;
    y += y_start;
    kept += kept_start;
    const int first = (int)get_group_id(0) * share;  // in chunks of 16 blocks
    for (int chunk = first; chunk < first + share && chunk * 256 < n; ++chunk) {
        ulong16 c0, c1, c2, c3;
        philox_blocks((ulong)chunk * 16, state[0], state[1], &c0, &c1, &c2, &c3);
        const int i = chunk * 256;
        const ulong8 words0 = (ulong8)(c0.s0, c1.s0, c2.s0, c3.s0, c0.s1, c1.s1, c2.s1, c3.s1);
        const ulong8 words1 = (ulong8)(c0.s2, c1.s2, c2.s2, c3.s2, c0.s3, c1.s3, c2.s3, c3.s3);
        const ulong8 words2 = (ulong8)(c0.s4, c1.s4, c2.s4, c3.s4, c0.s5, c1.s5, c2.s5, c3.s5);
        const ulong8 words3 = (ulong8)(c0.s6, c1.s6, c2.s6, c3.s6, c0.s7, c1.s7, c2.s7, c3.s7);
        const ulong8 words4 = (ulong8)(c0.s8, c1.s8, c2.s8, c3.s8, c0.s9, c1.s9, c2.s9, c3.s9);
        const ulong8 words5 = (ulong8)(c0.sa, c1.sa, c2.sa, c3.sa, c0.sb, c1.sb, c2.sb, c3.sb);
        const ulong8 words6 = (ulong8)(c0.sc, c1.sc, c2.sc, c3.sc, c0.sd, c1.sd, c2.sd, c3.sd);
        const ulong8 words7 = (ulong8)(c0.se, c1.se, c2.se, c3.se, c0.sf, c1.sf, c2.sf, c3.sf);
        if (i + 256 <= n) {
            store_part(as_ushort16(words0.lo), x, y, kept, i);
            store_part(as_ushort16(words0.hi), x, y, kept, i + 16);
            store_part(as_ushort16(words1.lo), x, y, kept, i + 32);
            store_part(as_ushort16(words1.hi), x, y, kept, i + 48);
            store_part(as_ushort16(words2.lo), x, y, kept, i + 64);
            store_part(as_ushort16(words2.hi), x, y, kept, i + 80);
            store_part(as_ushort16(words3.lo), x, y, kept, i + 96);
            store_part(as_ushort16(words3.hi), x, y, kept, i + 112);
            store_part(as_ushort16(words4.lo), x, y, kept, i + 128);
            store_part(as_ushort16(words4.hi), x, y, kept, i + 144);
            store_part(as_ushort16(words5.lo), x, y, kept, i + 160);
            store_part(as_ushort16(words5.hi), x, y, kept, i + 176);
            store_part(as_ushort16(words6.lo), x, y, kept, i + 192);
            store_part(as_ushort16(words6.hi), x, y, kept, i + 208);
            store_part(as_ushort16(words7.lo), x, y, kept, i + 224);
            store_part(as_ushort16(words7.hi), x, y, kept, i + 240);
        } else {
            store_edge(as_ushort16(words0.lo), x, y, kept, i, n);
            store_edge(as_ushort16(words0.hi), x, y, kept, i + 16, n);
            store_edge(as_ushort16(words1.lo), x, y, kept, i + 32, n);
            store_edge(as_ushort16(words1.hi), x, y, kept, i + 48, n);
            store_edge(as_ushort16(words2.lo), x, y, kept, i + 64, n);
            store_edge(as_ushort16(words2.hi), x, y, kept, i + 80, n);
            store_edge(as_ushort16(words3.lo), x, y, kept, i + 96, n);
            store_edge(as_ushort16(words3.hi), x, y, kept, i + 112, n);
            store_edge(as_ushort16(words4.lo), x, y, kept, i + 128, n);
            store_edge(as_ushort16(words4.hi), x, y, kept, i + 144, n);
            store_edge(as_ushort16(words5.lo), x, y, kept, i + 160, n);
            store_edge(as_ushort16(words5.hi), x, y, kept, i + 176, n);
            store_edge(as_ushort16(words6.lo), x, y, kept, i + 192, n);
            store_edge(as_ushort16(words6.hi), x, y, kept, i + 208, n);
            store_edge(as_ushort16(words7.lo), x, y, kept, i + 224, n);
            store_edge(as_ushort16(words7.hi), x, y, kept, i + 240, n);
        }
    }
}
