"""Puts tables into the folder of the first argument: those that scikit-learn
ships, and texts in several encodings. Prints what pandas reads of them as JSON:
for each file how it is read, and its columns as lists."""
import csv, glob, json, math, os, shutil, sys
import pandas as pd, sklearn

folder = sys.argv[1]
out = {}


def add(name, separator=",", encoding="utf8", **options):
    frame = pd.read_csv(os.path.join(folder, name), sep=separator, encoding={"utf8bom": "utf-8-sig", "windows1252": "cp1252"}.get(encoding, encoding),
                        keep_default_na=False, na_values=[""], **options)
    columns = {}
    for column in frame.columns:
        columns[str(column)] = [None if isinstance(v, float) and math.isnan(v) else v for v in frame[column].tolist()]
    profile = {}
    for column in frame.select_dtypes("number").columns:
        c = frame[column]
        if c.notna().sum() < 4 or c.nunique() < 2:  # pandas has no shape of these
            continue
        profile[str(column)] = {"count": int(c.count()), "mean": c.mean(), "std": c.std(), "var": c.var(), "skew": c.skew(), "kurt": c.kurt(), "min": float(c.min()), "max": float(c.max()),
                                "quantiles": [c.quantile(q) for q in (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)]}
    out[name] = {"profile": profile, "separator": separator, "encoding": encoding, "header": options.get("header", "infer") is not None, "columns": columns}


for path in glob.glob(os.path.join(os.path.dirname(sklearn.__file__), "datasets", "data", "*")):
    name = os.path.basename(path)
    if name.endswith(".csv") or name in ("digits.csv.gz", "diabetes_data_raw.csv.gz"):
        shutil.copy(path, os.path.join(folder, name))
        counted = name in ("breast_cancer.csv", "wine_data.csv", "iris.csv")  # their first line has no names
        if counted:
            text = open(path).read().split("\n", 1)[1]
            open(os.path.join(folder, name), "w").write(text)
        spaces = name in ("diabetes_data_raw.csv.gz", "linnerud_exercise.csv", "linnerud_physiological.csv")
        add(name, " " if spaces else ",", **({"header": None} if counted or name.endswith(".gz") else {}))

rows = [["name", "note", "n"], ["Jürgen", 'Straße\n"5"', 1], ["Zoë", "é, ü", 2], ["", "x", ""], ["O'Neil", "a\r\nb", -3]]
for encoding in ["utf8", "utf8bom", "utf16", "utf32", "latin1", "windows1252"]:
    name = encoding + ".csv"
    codec = {"utf8bom": "utf-8-sig", "windows1252": "cp1252"}.get(encoding, encoding)
    with open(os.path.join(folder, name), "w", encoding=codec, newline="") as f:
        csv.writer(f, lineterminator="\r\n" if encoding == "utf16" else "\n").writerows(rows)
    add(name, encoding=encoding)
json.dump(out, sys.stdout)
