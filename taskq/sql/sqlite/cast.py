"""How SQLite reads a cell whose value is of another type than its column. ``{0}`` is the SQL."""

#: Bytes are shown as an SQL literal.
TEXT = "CASE typeof({0}) WHEN 'blob' THEN quote({0}) ELSE {0} END"
#: A text that does not begin with a number is 0.
INTEGER = "CAST({0} AS INTEGER)"
REAL = "CAST({0} AS REAL)"
BOOLEAN = "({0} <> 0)"
