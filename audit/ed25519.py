"""Ed25519 signature verification in plain Python (RFC 8032 §5.1.7), for auditors who have nothing else.

Promises to accept what the strict verifiers of OpenSSL and Go accept: canonical key, canonical scalar, and
a recomputed R that equals the signature's byte for byte. Never signs: its running time depends on its
input, which is harmless for public values only. About 5 ms a signature.
"""

from __future__ import annotations

from hashlib import sha512
from typing import Final

_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_ROOT_OF_MINUS_ONE: Final = pow(2, (_P - 1) // 4, _P)
_HALF: Final = 32

_Point = tuple[int, int, int, int]
"""Extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z."""
_ZERO: Final[_Point] = (0, 1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether ``signature`` (64 bytes) over ``message`` was made by the holder of ``public``."""
    if len(public) != _HALF or len(signature) != 2 * _HALF:
        return False
    key = _decompress(public)
    scalar = int.from_bytes(signature[_HALF:], "little")
    if key is None or scalar >= _L:
        return False
    digest = sha512(signature[:_HALF] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _L
    x, y, z, t = key
    claimed = _double_multiple(scalar, _BASE, challenge, (_P - x, y, z, _P - t))
    return _compress(claimed) == signature[:_HALF]


def _add(p: _Point, q: _Point) -> _Point:
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] * _D % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _double_multiple(m: int, p: _Point, n: int, q: _Point) -> _Point:
    """Return m·p + n·q, both at once (Shamir's trick)."""
    steps = {(1, 0): p, (0, 1): q, (1, 1): _add(p, q)}
    total = _ZERO
    for bit in range(max(m.bit_length(), n.bit_length()) - 1, -1, -1):
        total = _add(total, total)
        step = steps.get((m >> bit & 1, n >> bit & 1))
        if step is not None:
            total = _add(total, step)
    return total


def _compress(point: _Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(_HALF, "little")


def _decompress(data: bytes) -> _Point | None:
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _base() -> _Point:
    point = _decompress((4 * pow(5, -1, _P) % _P).to_bytes(_HALF, "little"))
    assert point is not None, "RFC 8032 names this point"
    return point


_BASE: Final = _base()
