"""Named queries, read from the `.sql` file that lies beside the module that runs them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from nunet_dms.errors import NunetError

_NAME_LINE = re.compile(r"^-- name: ([a-z][a-z0-9_]*)[ \t]*$", re.MULTILINE)


@cache
def queries(package: str, filename: str) -> Mapping[str, str]:
    """Return the queries of `package/filename` by name; each begins at a line `-- name: x`.

    What stands before the first such line is the file's own comment. The query named `schema`
    may hold several statements, the others one each. Raises NunetError for a file without names
    or with the same name twice, which only a mistake of ours can cause.
    """
    text = files(package).joinpath(filename).read_text(encoding="utf-8")
    _, *parts = _NAME_LINE.split(text)
    names, bodies = parts[0::2], parts[1::2]
    if not names or len(set(names)) != len(names):
        raise NunetError(f"cannot read {package}/{filename}: a query name is missing or repeated")
    return MappingProxyType({n: b.strip() for n, b in zip(names, bodies, strict=True)})
