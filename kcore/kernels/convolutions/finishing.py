"""The end of a direct convolution: a vector of sums is stored, or goes through what follows in the same kernel."""

from __future__ import annotations

from kcore.codegen.epilogue import Epilogue
from kcore.codegen.group import Statements, indented
from kcore.codegen.signature import Signature
from kcore.kernels.convolutions.lanes import Lanes, Piece


class Finisher:
    """Writes the statements that take sums to memory, and the functions these call.

    Args:
        epilogue: what follows; its arguments are declared.
        sig: the kernel.
        statements: the kernel's own, from ``epilogue.statements(sig)``.
        lanes: channels of a whole vector.
    """

    def __init__(self, epilogue: Epilogue, sig: Signature, statements: Statements, lanes: int):
        self._epilogue, self._sig, self._statements = epilogue, sig, statements
        self.y = Lanes(statements, epilogue.product.outputs[0].dtype)
        wide = lanes >= 4 and epilogue.widens and not epilogue.plain
        self._wide = epilogue.wide_statements(sig, lanes) if wide else None
        self._functions: dict[Piece, str] = {}

    def store(self, total: str, index: str, column: str, piece: Piece) -> str:
        """The statement for one vector of sums.

        Args:
            total: C name of the sums.
            index: where the first of them lies in the result, as C text.
            column: its channel, as C text.
            piece: which lanes count.
        """
        if self._epilogue.plain:
            return self.y.store("y0", index, piece, total)
        arrays = ", ".join(a.name for a in self._arrays())
        return f"{self._function(piece)}({total}, {index}, {column}, {arrays});"

    def joined(self) -> Statements:
        """All statements of the kernel, once everything is stored."""
        for text in self._functions.values():
            self._statements.helpers[text] = None
        return self._wide.join(self._statements) if self._wide else self._statements

    def _arrays(self):
        return (a for a in self._sig.arguments if a.name[0] in "ey" and a.kind in ("input", "output"))

    def _function(self, piece: Piece) -> str:
        """A function that takes one vector of sums through the epilogue."""
        name, index, ctype = f"finish{piece.valid}", self._sig.index, self.y.type(piece)
        key = Piece(0, piece.valid, piece.width)
        if key in self._functions:
            return name
        parameters = [f"const {ctype} total", f"const {index} i", f"const {index} column"]
        for a in self._arrays():
            parameters.append(self._sig.dialect.pointer(a.dtype, const=a.kind == "input") + a.name)
        if self._wide is not None and piece.valid == self._wide.width:
            body = self._epilogue.element(self._wide, "total", "i", "column")
        elif piece.valid == 1:
            body = self._epilogue.element(self._statements, "total", "i", "column")
        else:
            element = self._epilogue.element(self._statements, "lanes[lane]", "i + lane", "column + lane")
            body = [
                f"{self.y.scalar} lanes[{piece.width}];",
                f"vstore{piece.width}(total, 0, lanes);",
                f"for (int lane = 0; lane < {piece.valid}; ++lane) {{",
                *indented(element),
                "}",
            ]
        head = f"static inline void {name}({', '.join(parameters)}) {{"
        self._functions[key] = "\n".join([head, *indented(body), "}"])
        return name
