"""tanh and erf in float32 as quotients of polynomials: a dozen multiplications and additions and one division.

Drivers' own functions take two to six times as long as reading and writing the element does on a CPU, and differ from
driver to driver. These are the same on every device, odd, never beyond 1, exactly 1 from the limit on, and pass NaN on.

The coefficients are a least-squares fit of ``x P(x^2) / Q(x^2)`` on [0, limit], its weights adjusted until the
relative error was level (5e-9 at most, beside the 6e-8 of a rounding); computed in float32, tanh is within 5 and
erf within 6 units in the last place, the most of them at the limit. OpenCL allows its own functions 5 and 16.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

#: name: (limit, coefficients of P, coefficients of Q), lowest powers first
RATIONAL: Mapping[str, tuple[float, Sequence[float], Sequence[float]]] = {
    "tanh": (
        7.9,
        (
            9.999999985e-01,
            1.312814581e-01,
            3.153663591e-03,
            1.168968945e-05,
            -2.252616934e-08,
            6.483170604e-11,
            -1.192535771e-13,
        ),
        (
            1.0,
            4.646147755e-01,
            2.469194974e-02,
            2.619354784e-04,
        ),
    ),
    "erf": (
        3.6,
        (
            1.128379162e00,
            1.808583937e-01,
            5.181678583e-02,
            3.432428490e-03,
            2.915809393e-04,
            2.326054906e-06,
        ),
        (
            1.0,
            4.936147563e-01,
            1.104605182e-01,
            1.430838220e-02,
            1.106820908e-03,
            4.125422550e-05,
        ),
    ),
}


def rational(name: str) -> str | None:
    """C text of a function of float32, scalars or vectors; templates are ``{T}``, ``{name}`` and the suffix ``{f}``."""
    if name not in RATIONAL:
        return None
    limit, top, bottom = RATIONAL[name]
    return (
        "{T} {name}({T} a) {{\n"
        "    const {T} u = a * a;\n"
        f"    const {{T}} top = {_horner(top)};\n"
        f"    const {{T}} bottom = {_horner(bottom)};\n"
        f"    return fabs{{f}}(a) > {limit}f ? copysign{{f}}(({{T}})(1.0f), a) : a * top / bottom;\n"
        "}}"
    )


def _horner(coefficients: Sequence[float]) -> str:
    """A polynomial in u."""
    text = _literal(coefficients[-1])
    for c in coefficients[-2:0:-1]:
        text = f"({text} * u + {_literal(c)})"
    return f"{text} * u + {_literal(coefficients[0])}"


def _literal(number: float) -> str:
    return f"{number:.9e}f"
