// model/random_normal_layer: random_normal
// Philox4x64-10 (Salmon et al. 2011): the four words of a block of the call `call` under the key (seed, 0)
static inline void philox(ulong block, ulong seed, ulong call, ulong *words)
{
    ulong c0 = block, c1 = call, c2 = 0, c3 = 0, k0 = seed, k1 = 0;
    for (int round = 0; round < 10; ++round) {
        const ulong high0 = mul_hi(0xD2E7470EE14C6C93UL, c0), low0 = 0xD2E7470EE14C6C93UL * c0;
        const ulong high1 = mul_hi(0xCA5A826395121157UL, c2), low1 = 0xCA5A826395121157UL * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B97F4A7C15UL;
        k1 += 0xBB67AE8584CAA73BUL;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

__kernel __attribute__((reqd_work_group_size(64, 1, 1)))
void random_normal_layer_random_normal(
    __global const uint *state,
    const long state_start,
    __global float *y,
    const long y_start,
    const int n)
{
    state += state_start;
    y += y_start;
    __local ulong words[256];
    const int group = (int)get_group_id(0);
    const int item = (int)get_local_id(0);
    ulong own[4];
    philox((ulong)group * 64 + item, state[0], state[1], own);
    for (int k = 0; k < 4; ++k) words[item * 4 + k] = own[k];
    barrier(CLK_LOCAL_MEM_FENCE);
    __local const uint *lanes = (__local const uint *)words;
    for (int turn = 0; turn < 4; ++turn) {
        const int j = (turn * 64 + item) * 2;
        const int i = group * 512 + j;
        if (i < n) {
            const uint lane = lanes[j];
            const uint other = lanes[j + 1];
            const float radius = sqrt((-2.0f) * log((float)(lane >> 8) * 5.9604645e-08f + 5.9604645e-08f));
            const float angle = (float)(other >> 8) * 5.9604645e-08f * 6.2831855f;
            const float y_ = radius * cos(angle);
            const float y_other = radius * sin(angle);
            y[i] = y_;
            if (i + 1 < n) y[i + 1] = y_other;
        }
    }
}
