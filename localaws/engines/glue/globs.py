"""Exclude patterns of crawlers: Java globs over the path below the include path.

Format: AWS Glue developer guide, "Include and exclude patterns": `*` and `?` stay inside a folder, `**` crosses
folders,
`[a-c]`, `[!a]`, `{a,b}`, and a backslash takes the next character literally.
"""

from __future__ import annotations

import re

from localaws.home import ServiceError


def glob(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression for `fullmatch`.

    Raises:
        ServiceError: InvalidInputException for an unclosed bracket or brace.
    """
    out: list[str] = []
    depth = at = 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "\\" and at + 1 < len(pattern):
            at += 1
            out.append(re.escape(pattern[at]))
        elif letter == "*":
            crossing = pattern.startswith("**", at)
            out.append(".*" if crossing else "[^/]*")
            at += crossing
        elif letter == "?":
            out.append("[^/]")
        elif letter == "[":
            end = pattern.find("]", at + 2)
            if end < 0:
                raise ServiceError("InvalidInputException", f"The exclude pattern {pattern!r} lacks a closing ]")
            body = pattern[at + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            # A bracket never matches the folder separator.
            out.append(f"(?!/)[{'^' + body[1:] if body[0] == '!' else body.replace('^', chr(92) + '^')}]")
            at = end
        elif letter == "{":
            if depth:
                raise ServiceError("InvalidInputException", f"The exclude pattern {pattern!r} nests braces")
            depth = 1
            out.append("(?:")
        elif letter == "}" and depth:
            depth = 0
            out.append(")")
        elif letter == "," and depth:
            out.append("|")
        else:
            out.append(re.escape(letter))
        at += 1
    if depth:
        raise ServiceError("InvalidInputException", f"The exclude pattern {pattern!r} lacks a closing brace")
    return re.compile("".join(out), re.DOTALL)
