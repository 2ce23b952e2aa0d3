// graph: cast, mod, equal, where, cast
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
static inline float load_bfloat16(const ushort bits) { return as_float((uint)bits << 16); }
static inline ushort store_bfloat16(const float value) {
    const uint bits = as_uint(value);
    if (value != value) return (ushort)((bits >> 16) | 64);
    return (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);  // to nearest, halves to even
}
static inline float round_bfloat16(const float value) { return load_bfloat16(store_bfloat16(value)); }
static inline float round_float16(const float value) {
    ushort bits;
    vstore_half_rte(value, 0, (half *)&bits);
    return vload_half(0, (const half *)&bits);
}
static inline long pymod_long(long a, long b) {
    if (b == 0 || b == -1) return 0;
    const long r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1)))
void graph_cast_mod_equal_where(
    __global const half *x0,
    __global const long *x1,
    __global long *y0,
    __global ushort *y1,
    const int columns,
    const int column_share)
{
    const int left = (int)get_group_id(0) * column_share;
    const int right = min(left + column_share, columns);
    int column = left;
    for (; column < right; ++column) {
        const float x0_ = vload_half(column, x0);
        const long x1_ = x1[column];
        const double v0 = (double)x0_;  // cast
        const long v1 = pymod_long(x1_, 7L);  // mod
        const uchar v2 = v1 == 0L;  // equal
        const double v3 = v2 ? v0 : (-1.5);  // where
        const float v4 = round_bfloat16((float)v3);  // cast
        y0[column] = v1;
        y1[column] = store_bfloat16(v4);
    }
}
