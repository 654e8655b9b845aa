"""Athena's DML grammar: sqlglot's Trino parser, made stricter.

Every function call is kept as it was written (sqlglot would rename `array_length(x)` to Trino's `cardinality(x)` and so
accept functions Athena does not have); operators that Trino lacks are refused while the text is still tokens.
"""

# ruff: noqa: SLF001 - FUNCTION_PARSERS are written with the parser's own helpers

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from sqlglot import exp
from sqlglot.dialects.trino import Trino
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from localaws.engines.athena.errors import SqlError

_FOREIGN_TOKENS = {
    TokenType.DCOLON: "::",
    TokenType.NULLSAFE_EQ: "<=>",
    TokenType.TILDE: "~",
    TokenType.AMP: "&",
    TokenType.PIPE: "|",
    TokenType.CARET: "^",
    TokenType.HASH: "#",
    TokenType.COLON_EQ: ":=",
    TokenType.DAMP: "&&",
    TokenType.L_BRACE: "{",
    TokenType.ILIKE: "ILIKE",
    TokenType.RLIKE: "RLIKE",
    TokenType.DIV: "DIV",
    TokenType.QUALIFY: "QUALIFY",
}


if TYPE_CHECKING:
    from collections.abc import Callable

# After these a `[` would begin a list literal, which Trino writes `ARRAY[…]`.
_BEFORE_OPERAND = {
    TokenType.SELECT, TokenType.COMMA, TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.EQ, TokenType.NEQ,
    TokenType.PLUS, TokenType.DASH, TokenType.STAR, TokenType.DPIPE, TokenType.IN, TokenType.ARROW, TokenType.THEN,
    TokenType.ELSE, TokenType.VALUES, TokenType.WHERE, TokenType.AND, TokenType.OR, TokenType.ON, TokenType.WHEN,
    TokenType.DISTINCT,
}  # fmt: skip


def _placed(name: str, parser: Any) -> exp.Expr:
    """A call with a grammar of its own, which keeps where its name stands."""
    token = parser._tokens[parser._index - 2]
    node = _substring(parser) if name == "SUBSTRING" else Trino.Parser.FUNCTION_PARSERS[name](parser)
    return node.update_positions(token)


def _substring(parser: Any) -> exp.Expr:
    """`substring(text, start, length)` and `substring(text FROM start FOR length)`."""
    args = [parser._parse_bitwise()]
    args += [
        parser._parse_bitwise()
        for word in ("FROM", "FOR")
        if parser._match(TokenType.COMMA) or parser._match_texts((word,))
    ]
    return exp.Anonymous(this="substring", expressions=args)


def _special(name: str) -> Callable[[Any], exp.Expr]:
    return partial(_placed, name)


class AthenaSql(Trino):
    """Trino's grammar with no function renamed and no subscript shifted to zero."""

    INDEX_OFFSET = 0

    class Parser(Trino.Parser):  # pyrefly: ignore[bad-override] - sqlglot sets `Trino.Parser` when the class is made
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: _special(name) for name in ("CAST", "TRY_CAST", "EXTRACT", "TRIM", "POSITION", "SUBSTRING")
        }


_DIALECT = AthenaSql()
NUL_REFUSED = "SQL text cannot hold the NUL character (U+0000): write chr(0) for it"


def tokens_of(sql: str) -> list[Token]:
    try:
        return list(_DIALECT.tokenize(sql))
    except SqlglotError as error:
        raise SqlError("SYNTAX_ERROR", f"line 1:1: {error}") from error


def position(token: Token) -> tuple[int, int]:
    """1-based line and column where a token starts (sqlglot counts to its end)."""
    return token.line, max(1, token.col - (token.end - token.start))


def place(node: exp.Expr) -> tuple[int, int] | None:
    """Where a node starts in the text, as far as sqlglot kept it: the first place of any of its parts."""
    found = [
        (meta["line"], max(1, meta["col"] - (meta["end"] - meta["start"])))
        for meta in (part.meta for part in node.walk())
        if "line" in meta
    ]
    return min(found, default=None)


def parse(sql: str) -> exp.Expr:
    """One DML statement (SELECT, VALUES, TABLE, WITH …) as a syntax tree.

    Raises:
        SqlError: SYNTAX_ERROR with line and column.
    """
    if "\x00" in sql:
        raise SqlError("SYNTAX_ERROR", NUL_REFUSED)
    tokens = tokens_of(sql)
    for before, token in zip([None, *tokens], tokens, strict=False):
        foreign = _FOREIGN_TOKENS.get(token.token_type)
        if foreign or (token.token_type == TokenType.EQ and token.text == "=="):
            raise SqlError("SYNTAX_ERROR", f"mismatched input '{token.text}'", position(token))
        if token.token_type == TokenType.L_BRACKET and (before is None or before.token_type in _BEFORE_OPERAND):
            raise SqlError("SYNTAX_ERROR", "mismatched input '['", position(token))
        if token.token_type == TokenType.FROM and (before is None or before.token_type == TokenType.L_PAREN):
            raise SqlError("SYNTAX_ERROR", "mismatched input 'FROM'", position(token))
        if token.token_type == TokenType.OFFSET and before is not None and _limit_before(tokens, token):
            raise SqlError("SYNTAX_ERROR", "mismatched input 'OFFSET'. Expecting: <EOF>", position(token))
    try:
        found = [tree for tree in _DIALECT.parser().parse(tokens, sql) if tree is not None]
    except SqlglotError as error:
        details = getattr(error, "errors", None)
        if details and details[0].get("line"):
            first = details[0]
            where = (first["line"], max(1, first["col"] - len(first.get("highlight") or "") + 1))
            raise SqlError("SYNTAX_ERROR", f"mismatched input '{first.get('highlight')}'", where) from error
        raise SqlError("SYNTAX_ERROR", f"line 1:1: {str(error).splitlines()[0]}") from error
    if len(found) != 1:
        raise SqlError("SYNTAX_ERROR", "line 1:1: Only one sql statement is allowed")
    return found[0]


def _limit_before(tokens: list[Token], offset: Token) -> bool:
    """Whether `LIMIT n` stands right before this OFFSET: Trino wants OFFSET first."""
    at = tokens.index(offset)
    return at >= 2 and tokens[at - 2].token_type == TokenType.LIMIT
