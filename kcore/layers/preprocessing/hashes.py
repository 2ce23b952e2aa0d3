"""The hashes of strings with which Keras chooses buckets: FarmHash's fingerprint, and SipHash under a key."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_MASK = (1 << 64) - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def _word(s: bytes, at: int) -> int:
    return int.from_bytes(s[at : at + 8], "little")


def _half(s: bytes, at: int) -> int:
    return int.from_bytes(s[at : at + 4], "little")


def _right(value: int, count: int) -> int:
    """The 64 bits turned right."""
    return (value >> count | value << (64 - count)) & _MASK


def _shift_mix(value: int) -> int:
    return value ^ value >> 47


def _join(u: int, v: int, factor: int) -> int:
    a = (u ^ v) * factor & _MASK
    a ^= a >> 47
    b = (v ^ a) * factor & _MASK
    b ^= b >> 47
    return b * factor & _MASK


def _up_to_16(s: bytes) -> int:
    n = len(s)
    factor = _K2 + n * 2
    if n >= 8:
        a, b = _word(s, 0) + _K2 & _MASK, _word(s, n - 8)
        c, d = _right(b, 37) * factor + a & _MASK, (_right(a, 25) + b) * factor & _MASK
        return _join(c, d, factor)
    if n >= 4:
        return _join(n + (_half(s, 0) << 3), _half(s, n - 4), factor)
    if n:
        y, z = s[0] + (s[n >> 1] << 8), n + (s[-1] << 2)
        return _shift_mix((y * _K2 ^ z * _K0) & _MASK) * _K2 & _MASK
    return _K2


def _up_to_32(s: bytes) -> int:
    n = len(s)
    factor = _K2 + n * 2
    a, b = _word(s, 0) * _K1 & _MASK, _word(s, 8)
    c, d = _word(s, n - 8) * factor & _MASK, _word(s, n - 16) * _K2 & _MASK
    u = _right(a + b & _MASK, 43) + _right(c, 30) + d
    return _join(u & _MASK, a + _right(b + _K2 & _MASK, 18) + c & _MASK, factor)


def _up_to_64(s: bytes) -> int:
    n = len(s)
    factor = _K2 + n * 2
    a, b = _word(s, 0) * _K2 & _MASK, _word(s, 8)
    c, d = _word(s, n - 8) * factor & _MASK, _word(s, n - 16) * _K2 & _MASK
    y = _right(a + b & _MASK, 43) + _right(c, 30) + d & _MASK
    z = _join(y, a + _right(b + _K2 & _MASK, 18) + c & _MASK, factor)
    e, f = _word(s, 16) * factor & _MASK, _word(s, 24)
    g, h = (y + _word(s, n - 32)) * factor & _MASK, (z + _word(s, n - 24)) * factor & _MASK
    u = _right(e + f & _MASK, 43) + _right(g, 30) + h
    return _join(u & _MASK, e + _right(f + a & _MASK, 18) + g & _MASK, factor)


def _weak(s: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    """32 bytes and two seeds as two words."""
    w, x, y, z = (_word(s, at + i) for i in (0, 8, 16, 24))
    a = a + w & _MASK
    b = _right(a + b + z & _MASK, 21)
    c = a
    a = a + x + y & _MASK
    return a + z & _MASK, b + _right(a, 44) + c & _MASK


def fingerprint(s: bytes) -> int:
    """FarmHash's 64-bit fingerprint of a string.

    Example:
        >>> fingerprint(b"")
        11160318154034397263
    """
    n = len(s)
    if n <= 16:
        return _up_to_16(s)
    if n <= 32:
        return _up_to_32(s)
    if n <= 64:
        return _up_to_64(s)
    x, y = 81, 81 * _K1 + 113 & _MASK
    z = _shift_mix(y * _K2 + 113 & _MASK) * _K2 & _MASK
    v, w = (0, 0), (0, 0)
    x = x * _K2 + _word(s, 0) & _MASK

    def turn(at: int, factor: int, nine: int) -> None:
        nonlocal x, y, z, v, w
        x = _right(x + y + v[0] + _word(s, at + 8) & _MASK, 37) * factor & _MASK
        y = _right(y + v[1] + _word(s, at + 48) & _MASK, 42) * factor & _MASK
        x ^= w[1] * nine & _MASK
        y = y + v[0] * nine + _word(s, at + 40) & _MASK
        z = _right(z + w[0] & _MASK, 33) * factor & _MASK
        v = _weak(s, at, v[1] * factor & _MASK, x + w[0] & _MASK)
        w = _weak(s, at + 32, z + w[1] & _MASK, y + _word(s, at + 16) & _MASK)
        x, z = z, x

    for at in range(0, (n - 1) // 64 * 64, 64):
        turn(at, _K1, 1)
    factor = _K1 + ((z & 0xFF) << 1) & _MASK
    w = (w[0] + (n - 1 & 63) & _MASK, w[1])
    v = (v[0] + w[0] & _MASK, v[1])
    w = (w[0] + v[0] & _MASK, w[1])
    turn(n - 64, factor, 9)
    first = _join(v[0], w[0], factor) + _shift_mix(y) * _K0 + z & _MASK
    return _join(first, _join(v[1], w[1], factor) + x & _MASK, factor)


def sip_hash(s: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 of a string under a key of two integers.

    Example:
        >>> hex(sip_hash(bytes(range(15)), (0x0706050403020100, 0x0F0E0D0C0B0A0908)))
        '0xa129ca6149be45e5'

    Source: Aumasson and Bernstein, SipHash: a fast short-input PRF, 2012; the example is that of its appendix A.
    """
    k0, k1 = key[0] & _MASK, key[1] & _MASK
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573

    def rounds(count: int) -> None:
        nonlocal v0, v1, v2, v3
        for _ in range(count):
            v0, v2 = v0 + v1 & _MASK, v2 + v3 & _MASK
            v1, v3 = _right(v1, 51) ^ v0, _right(v3, 48) ^ v2
            v0 = _right(v0, 32)
            v2, v0 = v2 + v1 & _MASK, v0 + v3 & _MASK
            v1, v3 = _right(v1, 47) ^ v2, _right(v3, 43) ^ v0
            v2 = _right(v2, 32)

    whole = len(s) // 8 * 8
    last = int.from_bytes(s[whole:], "little") | (len(s) & 0xFF) << 56
    for word in (*(_word(s, at) for at in range(0, whole, 8)), last):
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 0xFF
    rounds(4)
    return v0 ^ v1 ^ v2 ^ v3


def joined(first: int, second: int) -> int:
    """One fingerprint of two."""
    factor = 0xC6A4A7935BD1E995
    result = first ^ factor
    result ^= _shift_mix(second * factor & _MASK) * factor & _MASK
    result = result * factor & _MASK
    result = _shift_mix(result) * factor & _MASK
    return _shift_mix(result)


def as_bytes(values: np.ndarray) -> np.ndarray:
    """Strings in UTF-8; integers as their decimal digits, floats without what is behind the point."""
    if values.dtype.kind in "fb":
        values = values.astype("int64")
    return np.frompyfunc(lambda x: x if isinstance(x, bytes) else str(x).encode(), 1, 1)(values)


def each(function: Callable[[bytes], int], values: np.ndarray) -> np.ndarray:
    """A function of every string of an array, computed once for equal ones."""
    known: dict[bytes, int] = {}

    def look(s: bytes) -> int:
        if s not in known:
            known[s] = function(s)
        return known[s]

    return np.asarray(np.frompyfunc(look, 1, 1)(as_bytes(values)))


def buckets(values: np.ndarray, count: int, key: tuple[int, int] | None = None) -> np.ndarray:
    """The bucket of every value: int64 in [0, count).

    Args:
        values: strings or numbers.
        count: how many buckets.
        key: for `sip_hash`; the `fingerprint` without one.
    """
    if key is None:
        return each(lambda s: fingerprint(s) % count, values).astype("int64")
    return each(lambda s: sip_hash(s, key) % count, values).astype("int64")
