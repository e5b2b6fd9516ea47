"""What SQLite makes of a cell with a value of another type than its column, of SQL ``{0}``."""

#: Bytes are shown as the literal that SQL has for them.
TEXT = "CASE typeof({0}) WHEN 'blob' THEN quote({0}) ELSE {0} END"
#: What begins with no number is 0.
INTEGER = "CAST({0} AS INTEGER)"
BOOLEAN = "({0} <> 0)"
