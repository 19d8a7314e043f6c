"""Tables: canonical types and values, row boundaries, fragments. The only place that imports pyarrow."""
