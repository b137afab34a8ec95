package metrics

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/localfs"
)

func TestEveryKindComesBackAsItWas(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for _, flush := range []bool{false, true} {
		for name, limits := range map[string]limits{"default": defaultLimits, "small": smallLimits} {
			l, _ := newLog(t, limits)
			w := newWriter(t, l)
			var want []Point
			for range 500 {
				p := randomPoint(r)
				require.NoError(t, w.Append(p))
				want = append(want, p)
			}
			if flush {
				require.NoError(t, w.Flush(t.Context()))
			}
			same(t, want, readAll(t, l))
			require.NoError(t, w.Close(t.Context()))
			same(t, want, readAll(t, l))
			damage, err := l.Verify(t.Context(), nil)
			require.NoError(t, err, name)
			require.Empty(t, damage)
		}
	}
}

// TestModel does random things to a log, and to slices, one for each writer.
func TestModel(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for _, backendName := range []string{"memory", "localfs"} {
		faulty := newFaulty(r)
		if backendName == "localfs" {
			store, err := localfs.New(t.TempDir(), nil)
			require.NoError(t, err)
			t.Cleanup(func() { _ = store.Close() })
			faulty.Objects = store
		}
		dir := t.TempDir()
		l := openLog(t, faulty, dir, smallLimits)
		want := make(map[string][]Point)
		var writers []*Writer
		for range 1500 {
			faulty.rate = 0
			switch n := r.IntN(100); {
			case n < 3 && len(writers) < 4 || len(writers) == 0:
				writers = append(writers, newWriter(t, l))
			case n < 80:
				w, p := writers[r.IntN(len(writers))], randomPoint(r)
				require.NoError(t, w.Append(p))
				want[w.ID()] = append(want[w.ID()], p)
			case n < 90:
				faulty.rate = 0.3
				if err := writers[r.IntN(len(writers))].Flush(t.Context()); err != nil {
					require.ErrorIs(t, err, azml.ErrUnavailable)
				}
			case n < 92:
				faulty.rate = 0.3
				i := r.IntN(len(writers))
				_ = writers[i].Close(t.Context())
				writers = append(writers[:i], writers[i+1:]...)
			case n < 94:
				l = openLog(t, faulty, dir, smallLimits)
				faulty.rate = 0.2
				_, err := l.Recover(t.Context())
				if err != nil {
					require.ErrorIs(t, err, azml.ErrUnavailable)
				}
			case n < 97:
				compare(t, want, l)
			}
		}
		faulty.rate = 0
		compare(t, want, l)
		for _, w := range writers {
			require.NoError(t, w.Close(t.Context()))
		}
		_, err := l.Recover(t.Context())
		require.NoError(t, err)
		files, err := l.spool.list()
		require.NoError(t, err)
		require.Empty(t, files)
		compare(t, want, l)
	}
}

func compare(t *testing.T, want map[string][]Point, l *Log) {
	t.Helper()
	got := byWriter(t, readAll(t, l))
	for writer, points := range want {
		same(t, points, got[writer])
	}
}
