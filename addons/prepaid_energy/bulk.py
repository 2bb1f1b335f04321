"""Moving many rows into PostgreSQL at once."""

import io


def copy_rows(cr, table: str, columns: tuple[str, ...], rows) -> None:
    """Append rows to a table with COPY.

    :param cr: an open database cursor
    :param table: a table of this project, never a name from outside
    :param columns: its columns, in the order of the values
    :param rows: iterable of tuples; None is NULL, everything else is written as its text
    """
    buffer = io.StringIO()
    for row in rows:
        buffer.write("\t".join(_field(value) for value in row))
        buffer.write("\n")
    buffer.seek(0)
    cr.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", buffer)


def _field(value) -> str:
    if value is None:
        return "\\N"
    text = value if isinstance(value, str) else str(value)
    if "\\" in text or "\t" in text or "\n" in text or "\r" in text:
        text = (text.replace("\\", "\\\\").replace("\t", "\\t")
                .replace("\n", "\\n").replace("\r", "\\r"))
    return text
