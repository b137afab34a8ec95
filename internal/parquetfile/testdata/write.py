"""Writes Parquet files with pyarrow and DuckDB into the folder of the first
argument, and prints what they read of them as JSON: for each file its columns
as lists of values. Times are nanoseconds, other special types texts."""
import datetime, decimal, json, os, sys, uuid
import duckdb, numpy as np, pyarrow as pa, pyarrow.parquet as pq

folder = sys.argv[1]
rng = np.random.default_rng(7)
n = 5000


def some(values):
    """Each seventh is missing."""
    return [None if i % 7 == 3 else v for i, v in enumerate(values)]


flat = pa.table({
    "i8": pa.array(some([int(x) for x in rng.integers(-128, 127, n)]), pa.int8()),
    "u32": pa.array([int(x) for x in rng.integers(0, 2**32 - 1, n)], pa.uint32()),
    "i64": pa.array(some([int(x) for x in rng.integers(-2**62, 2**62, n)]), pa.int64()),
    "u64": pa.array([2**64 - 1 - i for i in range(n)], pa.uint64()),
    "f16": pa.array(rng.normal(size=n).astype(np.float16), pa.float16()),
    "f32": pa.array(rng.normal(size=n).astype(np.float32), pa.float32()),
    "f64": pa.array(some(list(rng.normal(size=n))), pa.float64()),
    "b": pa.array(some([bool(i % 3) for i in range(n)]), pa.bool_()),
    "s": pa.array(some([f"text {i} ä" for i in range(n)]), pa.string()),
    "words": pa.array(some([f"word {i % 11}" for i in range(n)]), pa.string()).dictionary_encode(),
    "raw": pa.array([bytes([i % 256, 0, 255]) for i in range(n)], pa.binary()),
    "fixed": pa.array([bytes([i % 256, 1]) for i in range(n)], pa.binary(2)),
    "s_": pa.array([datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=i * 1000) for i in range(n)], pa.timestamp("s")),
    "ms": pa.array([datetime.datetime(1969, 1, 1) + datetime.timedelta(milliseconds=i) for i in range(n)], pa.timestamp("ms")),
    "us": pa.array(some([datetime.datetime(2024, 1, 1) + datetime.timedelta(microseconds=i) for i in range(n)]), pa.timestamp("us", "UTC")),
    "ns": pa.array([i * 1_000_000_007 for i in range(n)], pa.timestamp("ns")),
    "day": pa.array([datetime.date(1960, 1, 1) + datetime.timedelta(days=i) for i in range(n)], pa.date32()),
    "clock": pa.array([datetime.time(i % 24, i % 60, i % 60, i) for i in range(n)], pa.time64("us")),
    "d9": pa.array(some([decimal.Decimal(i - 2500) / 100 for i in range(n)]), pa.decimal128(9, 2)),
    "d38": pa.array([decimal.Decimal(i - 2500).scaleb(-10) for i in range(n)], pa.decimal128(38, 10)),
    "none": pa.nulls(n, pa.string()),
})
nested = pa.table({
    "list": pa.array(some([list(range(i % 4)) for i in range(n)]), pa.list_(pa.int64())),
    "texts": pa.array([[None if j == 1 else f"{j}" for j in range(i % 3)] for i in range(n)], pa.list_(pa.string())),
    "lists": pa.array([[[1.5] * (j % 3) for j in range(i % 4)] for i in range(n)], pa.list_(pa.list_(pa.float64()))),
    "struct": pa.array(some([{"a": i, "b": None if i % 2 else {"c": f"x{i}", "d": [True] * (i % 3)}} for i in range(n)])),
    "map": pa.array([[(f"k{j}", j) for j in range(i % 3)] for i in range(n)], pa.map_(pa.string(), pa.int32())),
    "structs": pa.array([[{"x": j, "y": None} for j in range(i % 3)] for i in range(n)], pa.list_(pa.struct([("x", pa.int32()), ("y", pa.string())]))),
    "plain": pa.array(list(range(n))),
})


def plain(v, kind):
    if v is None:
        return None
    if pa.types.is_dictionary(kind):
        return plain(v, kind.value_type)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        unit = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[kind.unit] if pa.types.is_timestamp(kind) else 86400 * 10**9
        return str(v * unit)
    if pa.types.is_uint64(kind) or pa.types.is_decimal(kind) or isinstance(v, uuid.UUID):
        return str(v) if not pa.types.is_decimal(kind) else format(v, "f")
    if pa.types.is_time(kind):
        text = v.strftime("%H:%M:%S.%f").rstrip("0").rstrip(".")
        return text
    if isinstance(v, bytes):
        return v.hex()
    if isinstance(v, np.floating):
        return float(v)
    if pa.types.is_map(kind):
        return dict(v)
    return v


def values(column):
    kind = column.type
    if pa.types.is_timestamp(kind):
        whole = column.cast(pa.timestamp(kind.unit)).cast(pa.int64()).to_pylist()
    elif pa.types.is_date(kind):
        whole = column.cast(pa.int32()).to_pylist()
    else:
        whole = column.to_pylist()
    return [plain(v, kind) for v in whole]


pq.write_table(flat, os.path.join(folder, "flat.parquet"))
pq.write_table(flat, os.path.join(folder, "flat-groups.parquet"), row_group_size=701, compression="zstd", data_page_version="2.0", data_page_size=2000)
pq.write_table(flat, os.path.join(folder, "flat-plain.parquet"), use_dictionary=False, compression="none", write_page_index=True)
pq.write_table(flat.select(["ns", "us", "i64"]), os.path.join(folder, "flat-int96.parquet"), use_deprecated_int96_timestamps=True, compression="gzip")
pq.write_table(flat.select(["i64", "f64", "s"]), os.path.join(folder, "flat-delta.parquet"), use_dictionary=False,
               column_encoding={"i64": "DELTA_BINARY_PACKED", "f64": "BYTE_STREAM_SPLIT", "s": "DELTA_BYTE_ARRAY"}, compression="brotli")
pq.write_table(nested, os.path.join(folder, "nested.parquet"))
pq.write_table(nested, os.path.join(folder, "nested-pages.parquet"), row_group_size=999, data_page_size=500, compression="snappy")
# runs of booleans of lengths that are no multiple of 8
runs = pa.table({"b": pa.array([i % 100 < 77 for i in range(n)]), "n": pa.array(some([i % 1000 < 333 for i in range(n)]))})
pq.write_table(runs, os.path.join(folder, "flat-runs.parquet"), data_page_version="2.0", column_encoding={"b": "RLE", "n": "RLE"}, use_dictionary=False)
pq.write_table(flat, os.path.join(folder, "flat-lz4.parquet"), compression="lz4", write_page_checksum=True)
for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
    pq.write_table(nested, os.path.join(folder, f"nested-v2-{codec}.parquet"), row_group_size=2500, data_page_version="2.0", data_page_size=700,
                   compression=codec, write_page_checksum=True)
duckdb.sql(f"""COPY (SELECT i::INTEGER AS i, (i * 1.5)::DOUBLE AS f, CASE WHEN i % 5 = 0 THEN NULL ELSE 'w' || i % 9 END AS s,
    TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS t, DATE '2000-01-01' + i::INTEGER AS day, (i / 7.0)::DECIMAL(18, 4) AS d,
    i::UTINYINT AS tiny, uuid() AS id, [i, NULL, i + 1] AS l, {{'a': i, 'b': [{{'c': 'x'}}]}} AS st, i % 2 = 0 AS b
    FROM range(250) r(i)) TO '{folder}/duckdb.parquet' (FORMAT parquet, ROW_GROUP_SIZE 2048)""")

out = {}
for name in sorted(n for n in os.listdir(folder) if n.endswith(".parquet")):
    table = pq.read_table(os.path.join(folder, name))
    out[name] = {c: values(table[c]) for c in table.column_names}
json.dump(out, sys.stdout)
