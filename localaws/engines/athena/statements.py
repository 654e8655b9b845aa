"""Which statement a query text is: Athena's grammar outside SELECT.

DDL is Hive's (`CREATE EXTERNAL TABLE`, `MSCK REPAIR TABLE` …), the rest Trino's. A statement keeps the text of the
query inside it, which `syntax.parse` reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from localaws.engines.athena import syntax
from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError

if TYPE_CHECKING:
    from localaws.engines.athena.types import Type

Name: TypeAlias = "tuple[str | None, str]"  # (database, object)


@dataclass(frozen=True)
class Query:
    sql: str


@dataclass(frozen=True)
class CreateTable:
    name: Name
    columns: tuple[tuple[str, Type, str], ...]  # name, type, comment
    keys: tuple[tuple[str, Type, str], ...]
    location: str
    format: str
    serde: str
    serde_parameters: dict[str, str]
    parameters: dict[str, str]
    comment: str
    if_not_exists: bool


@dataclass(frozen=True)
class CreateTableAs:
    name: Name
    sql: str
    properties: dict[str, object]
    with_data: bool
    if_not_exists: bool


@dataclass(frozen=True)
class CreateView:
    name: Name
    sql: str
    replace: bool


@dataclass(frozen=True)
class CreateDatabase:
    name: str
    comment: str
    location: str
    parameters: dict[str, str]
    if_not_exists: bool


@dataclass(frozen=True)
class Drop:
    kind: str  # TABLE, VIEW or DATABASE
    name: Name
    if_exists: bool
    cascade: bool = False


@dataclass(frozen=True)
class Show:
    what: str  # DATABASES, TABLES, VIEWS, PARTITIONS, COLUMNS, CREATE TABLE, CREATE VIEW, TBLPROPERTIES
    name: Name | None = None
    pattern: str | None = None
    like: bool = False  # the pattern is SQL LIKE's, not Hive's


@dataclass(frozen=True)
class Describe:
    name: Name


@dataclass(frozen=True)
class Repair:
    name: Name


@dataclass(frozen=True)
class AlterTable:
    """`action` is ADD PARTITION, DROP PARTITION, SET TBLPROPERTIES, SET LOCATION, ADD COLUMNS or REPLACE COLUMNS."""

    name: Name
    action: str
    partitions: tuple[tuple[dict[str, str], str], ...] = ()  # key → value, location ('' = below the table)
    columns: tuple[tuple[str, Type, str], ...] = ()
    parameters: dict[str, str] = field(default_factory=dict)
    location: str = ""
    lenient: bool = False  # IF NOT EXISTS / IF EXISTS


@dataclass(frozen=True)
class Insert:
    name: Name
    columns: tuple[str, ...]
    sql: str


@dataclass(frozen=True)
class Unload:
    sql: str
    location: str
    properties: dict[str, object]


@dataclass(frozen=True)
class Explain:
    sql: str


@dataclass(frozen=True)
class Prepare:
    name: str
    sql: str


@dataclass(frozen=True)
class Execute:
    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Deallocate:
    name: str


Statement: TypeAlias = (
    Query | CreateTable | CreateTableAs | CreateView | CreateDatabase | Drop | Show | Describe | Repair | AlterTable
    | Insert | Unload | Explain | Prepare | Execute | Deallocate
)  # fmt: skip

_TOKEN = re.compile(
    r"""\s+|--[^\n]*|/\*.*?\*/|(?P<text>'(?:[^']|'')*'|(?<![\w"`])"(?:[^"]|"")*"|`[^`]*`|[A-Za-z_$][\w$]*|\d[\w.]*|.)""",
    re.DOTALL,
)
_SERDES = {
    "PARQUET": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    "TEXTFILE": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
    "JSONFILE": "org.apache.hive.hcatalog.data.JsonSerDe",
}
_OTHERS = frozenset(("ORC", "AVRO", "RCFILE", "SEQUENCEFILE", "ION"))


class _Reader:
    """The tokens of one statement."""

    def __init__(self, sql: str) -> None:
        self.sql = sql
        self.tokens = [(m["text"], m.start("text")) for m in _TOKEN.finditer(sql) if m["text"]]
        while self.tokens and self.tokens[-1][0] == ";":
            self.tokens.pop()
        self.at = 0

    def fail(self, expected: str) -> SqlError:
        text, start = self.tokens[self.at] if self.at < len(self.tokens) else ("<EOF>", len(self.sql))
        line = self.sql.count("\n", 0, start) + 1
        column = start - (self.sql.rfind("\n", 0, start) + 1) + 1
        return SqlError("SYNTAX_ERROR", f"line {line}:{column}: mismatched input '{text}'. Expecting: {expected}")

    def peek(self, *words: str) -> bool:
        """Whether the next tokens are these words."""
        ahead = [text.upper() for text, _ in self.tokens[self.at : self.at + len(words)]]
        return ahead == list(words)

    def accept(self, *words: str) -> bool:
        if not self.peek(*words):
            return False
        self.at += len(words)
        return True

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise self.fail(f"'{' '.join(words)}'")

    def next(self) -> str:
        if self.at >= len(self.tokens):
            raise self.fail("more text")
        self.at += 1
        return self.tokens[self.at - 1][0]

    def identifier(self) -> str:
        text = self.next()
        if text[0] in '"`':
            return text[1:-1].replace('""', '"').lower()
        if not re.match(r"[A-Za-z_\d]", text):
            self.at -= 1
            raise self.fail("<identifier>")
        return text.lower()

    def name(self) -> Name:
        parts = [self.identifier()]
        while self.accept("."):
            parts.append(self.identifier())
        if len(parts) > 2 and parts[0] in ("awsdatacatalog", "hive"):
            parts = parts[1:]
        if len(parts) > 2:
            raise SqlError("CATALOG_NOT_FOUND", f"Catalog '{parts[0]}' does not exist")
        return (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])

    def string(self) -> str:
        text = self.next()
        if text[0] not in "'\"":
            self.at -= 1
            raise self.fail("<string>")
        inner = text[1:-1].replace(text[0] * 2, text[0])
        return re.sub(r"\\(u[0-9a-fA-F]{4}|[0-7]{3}|.)", _unescaped, inner)

    def literal(self) -> str:
        """A partition value: a quoted string, a number or a word."""
        return self.string() if self.tokens[self.at][0][0] in "'\"" else self.next()

    def rest(self) -> str:
        """The text from here to the end of the statement."""
        if self.at >= len(self.tokens):
            raise self.fail("<query>")
        last, start = self.tokens[-1]
        return self.sql[self.tokens[self.at][1] : start + len(last)]

    def done(self) -> None:
        if self.at < len(self.tokens):
            raise self.fail("<EOF>")

    def properties(self) -> dict[str, str]:
        self.expect("(")
        found: dict[str, str] = {}
        while not self.accept(")"):
            key = self.string()
            self.expect("=")
            found[key] = self.string()
            self.accept(",")
        return found


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] == "u" and len(code) == 5:
        return chr(int(code[1:], 16))
    if len(code) == 3 and code.isdigit():
        return chr(int(code, 8))
    return {"t": "\t", "n": "\n", "r": "\r", "0": "\0", "\\": "\\", "'": "'", '"': '"'}.get(code, "\\" + code)


def kind_of(statement: Statement) -> tuple[str, str]:
    """Athena's StatementType and SubstatementType."""
    match statement:
        case Query():
            return "DML", "SELECT"
        case Insert():
            return "DML", "INSERT"
        case Unload():
            return "DML", "UNLOAD"
        case CreateTableAs():
            return "DDL", "CREATE_TABLE_AS_SELECT"
        case CreateTable():
            return "DDL", "CREATE_TABLE"
        case CreateView():
            return "DDL", "CREATE_VIEW"
        case CreateDatabase():
            return "DDL", "CREATE_DATABASE"
        case Drop():
            return "DDL", f"DROP_{statement.kind}"
        case AlterTable():
            return "DDL", f"ALTER_TABLE_{statement.action.replace(' ', '_')}"
        case Repair():
            return "DDL", "MSCK_REPAIR_TABLE"
        case Prepare():
            return "DDL", "PREPARE"
        case Deallocate():
            return "DDL", "DEALLOCATE"
        case Execute():
            return "DML", "EXECUTE"
        case Show():
            return "UTILITY", f"SHOW_{statement.what.replace(' ', '_')}"
        case Describe():
            return "UTILITY", "DESCRIBE_TABLE"
        case Explain():
            return "UTILITY", "EXPLAIN"


def parse(sql: str) -> Statement:
    """The statement in a query text.

    Raises:
        SqlError: SYNTAX_ERROR, or NOT_SUPPORTED naming a statement Athena has and this engine lacks.
    """
    reader = _Reader(sql)
    if any(text == ";" for text, _ in reader.tokens):
        raise SqlError("SYNTAX_ERROR", "Only one sql statement is allowed")
    if not reader.tokens:
        raise SqlError("SYNTAX_ERROR", "line 1:1: mismatched input '<EOF>'. Expecting: <query>")
    if any(map(reader.peek, ("SELECT", "WITH", "VALUES", "TABLE", "("))):
        return Query(reader.rest())
    word = reader.next().upper()
    match word:
        case "CREATE":
            return _create(reader)
        case "DROP":
            return _drop(reader)
        case "SHOW":
            return _show(reader)
        case "DESCRIBE" | "DESC":
            if reader.accept("EXTENDED") or reader.accept("FORMATTED"):
                raise SqlError("NOT_SUPPORTED", "DESCRIBE EXTENDED and FORMATTED are not supported by this engine")
            return _ended(reader, Describe(reader.name()))
        case "MSCK":
            reader.expect("REPAIR", "TABLE")
            return _ended(reader, Repair(reader.name()))
        case "ALTER":
            return _alter(reader)
        case "INSERT":
            reader.expect("INTO")
            return _insert(reader)
        case "UNLOAD":
            return _unload(reader)
        case "EXPLAIN":
            if reader.peek("ANALYZE") or (reader.peek("(", "TYPE") or reader.peek("(", "FORMAT")):
                raise SqlError("NOT_SUPPORTED", "EXPLAIN with options is not supported by this engine")
            return Explain(reader.rest())
        case "PREPARE":
            name = reader.identifier()
            reader.expect("FROM")
            return Prepare(name, reader.rest())
        case "EXECUTE":
            if reader.peek("IMMEDIATE"):
                raise SqlError("NOT_SUPPORTED", "EXECUTE IMMEDIATE is not supported by this engine")
            return _execute(reader)
        case "DEALLOCATE":
            reader.expect("PREPARE")
            return _ended(reader, Deallocate(reader.identifier()))
        case "DELETE" | "UPDATE" | "MERGE" | "OPTIMIZE" | "VACUUM":
            raise SqlError("NOT_SUPPORTED", f"{word} needs an Iceberg table, which this engine does not have")
        case (
            "USE"
            | "GRANT"
            | "REVOKE"
            | "ANALYZE"
            | "CALL"
            | "SET"
            | "TRUNCATE"
            | "COMMIT"
            | "ROLLBACK"
            | "START"
            | "REFRESH"
        ):
            raise SqlError("SYNTAX_ERROR", "Queries of this type are not supported")
    reader.at = 0
    raise reader.fail("'ALTER', 'CREATE', 'DESCRIBE', 'DROP', 'EXPLAIN', 'INSERT', 'MSCK', 'SHOW', 'UNLOAD', <query>")


def _ended(reader: _Reader, statement: Statement) -> Statement:
    reader.done()
    return statement


def _create(reader: _Reader) -> Statement:
    replace = reader.accept("OR", "REPLACE")
    if reader.accept("VIEW"):
        name = reader.name()
        reader.expect("AS")
        return CreateView(name, reader.rest(), replace)
    if replace:
        raise reader.fail("'VIEW'")
    if reader.accept("DATABASE") or reader.accept("SCHEMA"):
        lenient = reader.accept("IF", "NOT", "EXISTS")
        name = reader.identifier()
        comment = reader.string() if reader.accept("COMMENT") else ""
        location = reader.string() if reader.accept("LOCATION") else ""
        parameters = reader.properties() if reader.accept("WITH", "DBPROPERTIES") else {}
        return _ended(reader, CreateDatabase(name, comment, location, parameters, lenient))
    external = reader.accept("EXTERNAL")
    reader.expect("TABLE")
    lenient = reader.accept("IF", "NOT", "EXISTS")
    name = reader.name()
    if external or reader.peek("("):
        return _create_table(reader, name, lenient=lenient, external=external)
    properties = _with(reader) if reader.accept("WITH") else {}
    reader.expect("AS")
    text = reader.rest()
    without = re.search(r"\s+WITH\s+(NO\s+)?DATA\s*$", text, re.IGNORECASE)
    if without:
        text = text[: without.start()]
    return CreateTableAs(name, text, properties, with_data=not (without and without[1]), if_not_exists=lenient)


def _columns(reader: _Reader, *, typed: bool = True) -> tuple[tuple[str, Type, str], ...]:
    reader.expect("(")
    found: list[tuple[str, Type, str]] = []
    while not reader.accept(")"):
        name = reader.identifier()
        start = reader.tokens[reader.at][1]
        depth = 0
        while reader.at < len(reader.tokens):
            text = reader.tokens[reader.at][0]
            if depth == 0 and (text in ",)" or text.upper() == "COMMENT"):
                break
            depth += (text in "<(") - (text in ">)")
            reader.at += 1
        kind = reader.sql[start : reader.tokens[reader.at][1]].strip()
        if typed and not kind:
            raise reader.fail("<type>")
        comment = reader.string() if reader.accept("COMMENT") else ""
        found.append((name, t.parse_hive(kind), comment))
        reader.accept(",")
    return tuple(found)


def _create_table(reader: _Reader, name: Name, *, lenient: bool, external: bool) -> Statement:  # noqa: PLR0915 - one branch per clause
    columns = _columns(reader)
    keys: tuple[tuple[str, Type, str], ...] = ()
    comment, location, format_, serde = "", "", "", ""
    serde_parameters: dict[str, str] = {}
    parameters: dict[str, str] = {}
    delimited = False
    while reader.at < len(reader.tokens):
        if reader.accept("COMMENT"):
            comment = reader.string()
        elif reader.accept("PARTITIONED", "BY"):
            keys = _columns(reader)
        elif reader.accept("CLUSTERED", "BY"):
            raise SqlError("NOT_SUPPORTED", "CLUSTERED BY is not supported by this engine")
        elif reader.accept("ROW", "FORMAT", "SERDE"):
            serde = reader.string()
            if reader.accept("WITH", "SERDEPROPERTIES"):
                serde_parameters.update(reader.properties())
        elif reader.accept("ROW", "FORMAT", "DELIMITED"):
            delimited = True
        elif delimited and reader.accept("FIELDS", "TERMINATED", "BY"):
            serde_parameters["field.delim"] = serde_parameters["serialization.format"] = reader.string()
            if reader.accept("ESCAPED", "BY"):
                serde_parameters["escape.delim"] = reader.string()
        elif delimited and reader.accept("ESCAPED", "BY"):
            serde_parameters["escape.delim"] = reader.string()
        elif delimited and reader.accept("COLLECTION", "ITEMS", "TERMINATED", "BY"):
            serde_parameters["collection.delim"] = reader.string()
        elif delimited and reader.accept("MAP", "KEYS", "TERMINATED", "BY"):
            serde_parameters["mapkey.delim"] = reader.string()
        elif delimited and reader.accept("LINES", "TERMINATED", "BY"):
            if reader.string() != "\n":
                raise SqlError("NOT_SUPPORTED", "LINES TERMINATED BY other than '\\n' is not supported")
        elif delimited and reader.accept("NULL", "DEFINED", "AS"):
            serde_parameters["serialization.null.format"] = reader.string()
        elif reader.accept("STORED", "AS", "INPUTFORMAT"):
            format_ = reader.string()
            reader.expect("OUTPUTFORMAT")
            reader.string()
        elif reader.accept("STORED", "AS"):
            format_ = reader.next().upper()
        elif reader.accept("LOCATION"):
            location = reader.string()
        elif reader.accept("TBLPROPERTIES"):
            parameters = reader.properties()
        else:
            raise reader.fail("<clause of CREATE TABLE>")
    if parameters.get("table_type", "").upper() == "ICEBERG":
        raise SqlError("NOT_SUPPORTED", "Iceberg tables are not supported by this engine")
    if not external:
        raise SqlError("SYNTAX_ERROR", "CREATE TABLE without EXTERNAL needs table_type='ICEBERG' or AS <query>")
    if not location:
        raise SqlError("SYNTAX_ERROR", "LOCATION is required for an external table")
    if format_ in _OTHERS:
        raise SqlError("NOT_SUPPORTED", f"STORED AS {format_} is not supported by this engine")
    if not serde:
        known = {"": "TEXTFILE", "PARQUET": "PARQUET", "TEXTFILE": "TEXTFILE", "JSONFILE": "JSONFILE"}
        if format_ not in known:
            raise SqlError("SYNTAX_ERROR", f"Unknown file format '{format_}'")
        serde = _SERDES[known[format_]]
    return CreateTable(name, columns, keys, location, format_, serde, serde_parameters, parameters, comment, lenient)


def _with(reader: _Reader) -> dict[str, object]:
    """`(name = 'text', name = ARRAY['a', 'b'], name = 5)`."""
    reader.expect("(")
    found: dict[str, object] = {}
    while not reader.accept(")"):
        key = reader.identifier()
        reader.expect("=")
        if reader.accept("ARRAY", "["):
            items = []
            while not reader.accept("]"):
                items.append(reader.string())
                reader.accept(",")
            found[key] = items
        elif reader.tokens[reader.at][0][0] == "'":
            found[key] = reader.string()
        else:
            found[key] = reader.next()
        reader.accept(",")
    return found


def _drop(reader: _Reader) -> Statement:
    kind = reader.next().upper()
    if kind not in ("TABLE", "VIEW", "DATABASE", "SCHEMA"):
        reader.at -= 1
        raise reader.fail("'DATABASE', 'SCHEMA', 'TABLE', 'VIEW'")
    lenient = reader.accept("IF", "EXISTS")
    if kind in ("DATABASE", "SCHEMA"):
        name = (None, reader.identifier())
        cascade = reader.accept("CASCADE") or (reader.accept("RESTRICT") and False)
        return _ended(reader, Drop("DATABASE", name, lenient, cascade))
    return _ended(reader, Drop(kind, reader.name(), lenient))


def _show(reader: _Reader) -> Statement:
    def pattern() -> tuple[str | None, bool]:
        like = reader.accept("LIKE")
        return (reader.string() if reader.at < len(reader.tokens) else None), like

    word = reader.next().upper()
    if word in ("DATABASES", "SCHEMAS"):
        text, like = pattern()
        return _ended(reader, Show("DATABASES", None, text, like and word == "SCHEMAS"))
    if word in ("TABLES", "VIEWS"):
        name = (reader.identifier(), "") if reader.accept("IN") or reader.accept("FROM") else None
        text, like = pattern()
        return _ended(reader, Show(word, name, text, like and word == "VIEWS"))
    if word == "PARTITIONS":
        return _ended(reader, Show(word, reader.name()))
    if word == "COLUMNS":
        if not (reader.accept("IN") or reader.accept("FROM")):
            raise reader.fail("'FROM', 'IN'")
        name = reader.name()
        if reader.accept("IN") or reader.accept("FROM"):
            name = (reader.identifier(), name[1])
        return _ended(reader, Show(word, name))
    if word == "CREATE":
        kind = reader.next().upper()
        if kind in ("TABLE", "VIEW"):
            return _ended(reader, Show(f"CREATE {kind}", reader.name()))
    if word == "TBLPROPERTIES":
        name = reader.name()
        key = None
        if reader.accept("("):
            key = reader.string()
            reader.expect(")")
        return _ended(reader, Show(word, name, key))
    reader.at -= 1
    raise reader.fail("'COLUMNS', 'CREATE', 'DATABASES', 'PARTITIONS', 'SCHEMAS', 'TABLES', 'TBLPROPERTIES', 'VIEWS'")


def _alter(reader: _Reader) -> Statement:
    reader.expect("TABLE")
    name = reader.name()

    def spec() -> dict[str, str]:
        reader.expect("PARTITION")
        reader.expect("(")
        found = {}
        while not reader.accept(")"):
            key = reader.identifier()
            reader.expect("=")
            found[key] = reader.literal()
            reader.accept(",")
        return found

    if reader.accept("ADD", "COLUMNS"):
        return _ended(reader, AlterTable(name, "ADD COLUMNS", columns=_columns(reader)))
    if reader.accept("REPLACE", "COLUMNS"):
        return _ended(reader, AlterTable(name, "REPLACE COLUMNS", columns=_columns(reader)))
    if reader.accept("ADD"):
        lenient = reader.accept("IF", "NOT", "EXISTS")
        found = []
        while reader.peek("PARTITION"):
            values = spec()
            found.append((values, reader.string() if reader.accept("LOCATION") else ""))
        if not found:
            raise reader.fail("'COLUMNS', 'PARTITION'")
        return _ended(reader, AlterTable(name, "ADD PARTITION", tuple(found), lenient=lenient))
    if reader.accept("DROP"):
        lenient = reader.accept("IF", "EXISTS")
        found = [(spec(), "")]
        while reader.accept(","):
            found.append((spec(), ""))
        return _ended(reader, AlterTable(name, "DROP PARTITION", tuple(found), lenient=lenient))
    if reader.accept("SET", "TBLPROPERTIES"):
        return _ended(reader, AlterTable(name, "SET TBLPROPERTIES", parameters=reader.properties()))
    if reader.accept("SET", "LOCATION"):
        return _ended(reader, AlterTable(name, "SET LOCATION", location=reader.string()))
    raise SqlError(
        "NOT_SUPPORTED",
        f"ALTER TABLE … {reader.next() if reader.at < len(reader.tokens) else ''} is not supported by this engine",
    )


def _insert(reader: _Reader) -> Statement:
    name = reader.name()
    columns: list[str] = []
    if reader.peek("(") and not any(
        reader.tokens[reader.at + 1][0].upper() == w for w in ("SELECT", "WITH", "VALUES", "(")
    ):
        reader.expect("(")
        while not reader.accept(")"):
            columns.append(reader.identifier())
            reader.accept(",")
    return Insert(name, tuple(columns), reader.rest())


def _unload(reader: _Reader) -> Statement:
    reader.expect("(")
    start, depth = reader.tokens[reader.at][1], 1
    while depth:
        text = reader.next()
        depth += (text == "(") - (text == ")")
    sql = reader.sql[start : reader.tokens[reader.at - 1][1]]
    reader.expect("TO")
    location = reader.string()
    properties = _with(reader) if reader.accept("WITH") else {}
    return _ended(reader, Unload(sql, location, properties))


def _execute(reader: _Reader) -> Statement:
    name = reader.identifier()
    arguments: list[str] = []
    if reader.accept("USING"):
        start, depth = reader.tokens[reader.at][1], 0
        for text, at in reader.tokens[reader.at :]:
            depth += (text in "([") - (text in ")]")
            if text == "," and not depth:
                arguments.append(reader.sql[start:at].strip())
                start = at + 1
        arguments.append(reader.sql[start : reader.tokens[-1][1] + len(reader.tokens[-1][0])].strip())
        reader.at = len(reader.tokens)
    return _ended(reader, Execute(name, tuple(arguments)))


def fill_parameters(sql: str, arguments: tuple[str, ...]) -> str:
    """The statement with each `?` replaced by the text of an argument, which must be one expression of its own.

    Raises:
        SqlError: INVALID_PARAMETER_USAGE when the numbers differ, SYNTAX_ERROR for an argument that is no expression.
    """
    reader = _Reader(sql)
    places = [start for text, start in reader.tokens if text == "?"]
    if len(places) != len(arguments):
        raise SqlError(
            "INVALID_PARAMETER_USAGE",
            f"Incorrect number of parameters: expected {len(places)} but found {len(arguments)}",
        )
    for argument in arguments:
        if len(syntax.parse(f"SELECT {argument}").expressions) != 1 or syntax.parse(f"SELECT {argument}").args.get(
            "from_"
        ):
            raise SqlError("SYNTAX_ERROR", f"The parameter {argument!r} is not one expression")
    for place, argument in reversed(list(zip(places, arguments, strict=True))):
        plain = re.fullmatch(r"\s*(-?\d+(\.\d+)?|'(?:[^']|'')*')\s*", argument)
        sql = sql[:place] + (argument.strip() if plain else f"({argument})") + sql[place + 1 :]
    return sql
