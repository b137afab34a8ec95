package parquetfile

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/tabular"
)

type sample struct {
	A int64    `parquet:"a"`
	S *string  `parquet:"s,dict,optional"`
	L []string `parquet:"l,list"`
}

// written gives a file of a few rows.
func written[T any](t testing.TB, rows []T) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, parquet.Write(&b, rows))
	return b.Bytes()
}

func samples() []sample {
	rows := make([]sample, 40)
	for i := range rows {
		s := strconv.Itoa(i % 5)
		rows[i] = sample{int64(i), &s, []string{s, s}}
	}
	return rows
}

// read reads all and gives the number of rows.
func read(t testing.TB, schema tabular.Schema, files ...datafile.File) (rows int, err error) {
	for part, err := range Read(t.Context(), files, schema, nil, &Options{}) {
		if err != nil {
			return rows, err
		}
		rows += part.Rows
	}
	return rows, nil
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	type other struct {
		A string `parquet:"a"`
	}
	type lacks struct {
		B int64 `parquet:"b"`
	}
	whole := written(t, samples())
	schema := tabular.Schema{{Name: "a", Type: tabular.Int}}
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"empty":             {nil, "1.parquet: it can't be read as a Parquet file: it is too short"},
		"text":              {[]byte("a,b\n1,2\n1,2\n1,2\n"), "it has no footer"},
		"cut off":           {whole[:len(whole)/2], "it has no footer"},
		"another type":      {written(t, []other{{"x"}}), `its columns are not those of the dataset: "a" is string instead of long`},
		"another column":    {written(t, []lacks{{1}}), `its columns are not those of the dataset: it lacks "a"`},
		"footer of 4 GiB":   {append(bytes.Clone(whole[:len(whole)-8]), 0xff, 0xff, 0xff, 0xff, 'P', 'A', 'R', '1'), "it has no footer"},
		"damaged in middle": {append(append(bytes.Clone(whole[:4]), make([]byte, 60)...), whole[64:]...), "it can't be read as a Parquet file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, err := read(t, schema, datafile.Bytes("0.parquet", whole), datafile.Bytes("1.parquet", tt.data))
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, tt.want)
			require.Equal(t, 40, n, "the first file was read")
		})
	}
	t.Run("encrypted", func(t *testing.T) {
		t.Parallel()
		_, err := Infer(t.Context(), []datafile.File{datafile.Bytes("x", append(bytes.Clone(whole[:len(whole)-1]), 'E'))})
		require.ErrorIs(t, err, azml.ErrUnsupported)
	})
}

func TestRead(t *testing.T) {
	t.Parallel()
	file := datafile.Bytes("x", written(t, samples()))
	schema, err := Infer(t.Context(), []datafile.File{file})
	require.NoError(t, err)
	require.Equal(t, tabular.Schema{{Name: "a", Type: tabular.Int}, {Name: "s", Type: tabular.String}, {Name: "l", Type: tabular.Nested}}, schema)
	for part, err := range Read(t.Context(), []datafile.File{file}, schema, []string{"l", "a"}, &Options{}) {
		require.NoError(t, err)
		require.Equal(t, []string{"l", "a"}, part.Schema().Names())
		require.Equal(t, `["3","3"]`, part.Columns[0].Texts[3])
		break
	}
	for part, err := range Read(t.Context(), []datafile.File{file}, schema, []string{}, &Options{}) {
		require.NoError(t, err)
		require.Equal(t, 40, part.Rows)
	}
}

// FuzzRead reads files with changed bytes: they are errors or rows, and nothing
// worse.
func FuzzRead(f *testing.F) {
	whole := written(f, samples())
	f.Add(10, byte(0xff), 50, byte(1))
	f.Add(len(whole)-40, byte(0x80), 4, byte(0))
	f.Fuzz(func(t *testing.T, place1 int, value1 byte, place2 int, value2 byte) {
		data := bytes.Clone(whole)
		data[uint(place1)%uint(len(data))] = value1
		data[uint(place2)%uint(len(data))] = value2
		file := datafile.Bytes("x", data)
		schema, err := Infer(t.Context(), []datafile.File{file})
		if err == nil {
			_, err = read(t, schema, file)
		}
		if err != nil {
			require.NotEmpty(t, err.Error())
		}
	})
}
