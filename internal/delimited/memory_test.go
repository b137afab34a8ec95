package delimited

import (
	"context"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/internal/datafile"
	"github.com/azml-go/azml/tabular"
)

// endless is a stream of the same lines, size bytes long.
type endless struct {
	lines      string
	done, size int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.done >= e.size {
		return 0, io.EOF
	}
	at := int(e.done % int64(len(e.lines)))
	n := copy(p[:min(int64(len(p)), e.size-e.done)], e.lines[at:])
	e.done += int64(n)
	return n, nil
}

func (*endless) ReadAt([]byte, int64) (int, error) { return 0, io.EOF }
func (*endless) Close() error                      { return nil }

// TestMemory reads far more than may be in memory at a time.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 300 MB: left out in short mode")
	}
	const most = 96 << 20
	lines := strings.Repeat("12345,some text of no meaning,0.125\n", 1000)
	size := int64(300<<20) / int64(len(lines)) * int64(len(lines))
	file := datafile.File{Name: "x", Size: size, Open: func(context.Context) (datafile.Stream, error) { return &endless{lines: lines, size: size}, nil }}
	schema := tabular.Schema{{Name: "Column1", Type: tabular.Int}, {Name: "Column2", Type: tabular.String}, {Name: "Column3", Type: tabular.Float}}
	rows, batches := int64(0), 0
	for part, err := range Read(t.Context(), []datafile.File{file}, schema, nil, &Options{Header: HeaderNone}) {
		require.NoError(t, err)
		rows += int64(part.Rows)
		if batches++; batches%50 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			require.Less(t, m.HeapAlloc, uint64(most))
		}
	}
	require.Equal(t, size/int64(len(lines))*1000, rows)
}
