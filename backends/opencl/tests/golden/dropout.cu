// model/dropout_layer: dropout
// Philox4x64-10 (Salmon et al. 2011): the four words of a block of the call `call` under the key (seed, 0)
static __device__ __forceinline__ void philox(unsigned long long block, unsigned long long seed, unsigned long long call, unsigned long long *words)
{
    unsigned long long c0 = block, c1 = call, c2 = 0, c3 = 0, k0 = seed, k1 = 0;
    for (int round = 0; round < 10; ++round) {
        const unsigned long long high0 = __umul64hi(0xD2E7470EE14C6C93ULL, c0), low0 = 0xD2E7470EE14C6C93ULL * c0;
        const unsigned long long high1 = __umul64hi(0xCA5A826395121157ULL, c2), low1 = 0xCA5A826395121157ULL * c2;
        c0 = high1 ^ c1 ^ k0;
        c1 = low1;
        c2 = high0 ^ c3 ^ k1;
        c3 = low0;
        k0 += 0x9E3779B97F4A7C15ULL;
        k1 += 0xBB67AE8584CAA73BULL;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

extern "C" __global__ __launch_bounds__(64)
void dropout_layer_dropout(
    const unsigned int *state,
    const float *x,
    float *y,
    unsigned char *kept,
    const int n)
{
    __shared__ unsigned long long words[256];
    const int group = (int)blockIdx.x;
    const int item = (int)threadIdx.x;
    unsigned long long own[4];
    philox((unsigned long long)group * 64 + item, state[0], state[1], own);
    for (int k = 0; k < 4; ++k) words[item * 4 + k] = own[k];
    __syncthreads();
    const unsigned short *lanes = (const unsigned short *)words;
    for (int turn = 0; turn < 16; ++turn) {
        const int j = (turn * 64 + item);
        const int i = group * 1024 + j;
        if (i < n) {
            const unsigned short lane = lanes[j];
            const float x_ = x[i];
            const int keep = (unsigned int)(lane) >= 16384u;
            const float y_ = keep ? x_ * 1.3333334f : 0.0f;
            const unsigned char kept_ = (unsigned char)(keep & 1);
            y[i] = y_;
            kept[i] = kept_;
        }
    }
}
