"""What differs between two versions of a package: entries, texts, rows, cells and columns, drift; and who accepted it."""

FORMATS = ("csv", "json", "arrow", "parquet", "daff")  # in which row diffs are written
APPLIED = (
    "arrow",
    "parquet",
)  # those that hold every value of every type, and say what they are between: dpk apply-diff
