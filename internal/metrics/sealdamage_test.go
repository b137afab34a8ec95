package metrics

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/record"
)

// sealedFixture is a sealed log: its points and its objects.
type sealedFixture struct {
	points  []Point
	sums    map[string]Summary
	objects map[string][]byte
}

func newSealedFixture(t *testing.T) sealedFixture {
	t.Helper()
	l, store := newLog(t, smallLimits)
	logRandom(t, l, 2, 120)
	mustSeal(t, l)
	f := sealedFixture{points: readAll(t, l), objects: map[string][]byte{}}
	var err error
	f.sums, err = l.Summary(t.Context())
	require.NoError(t, err)
	for info, err := range store.List(t.Context(), &backend.ListOptions{}) {
		require.NoError(t, err)
		obj, err := store.Get(t.Context(), info.Key, &backend.GetOptions{})
		require.NoError(t, err)
		f.objects[info.Key], err = io.ReadAll(obj.Body)
		require.NoError(t, err)
	}
	return f
}

// open gives a log with one of the objects changed, or left out when it is nil.
func (f sealedFixture) open(t *testing.T, key string, data []byte) *Log {
	t.Helper()
	store := memory.NewObjects()
	for k, original := range f.objects {
		if k == key {
			original = data
		}
		if original == nil {
			continue
		}
		_, err := store.Put(t.Context(), k, bytes.NewReader(original), &backend.PutOptions{})
		require.NoError(t, err)
	}
	return openLog(t, store, t.TempDir(), smallLimits)
}

// TestFlippedSealedBits flips bits of each object: what is read is right, or
// the error says which object is damaged.
func TestFlippedSealedBits(t *testing.T) {
	t.Parallel()
	f := newSealedFixture(t)
	r := newRand(t)
	for key, data := range f.objects {
		harmless := 0
		tries := min(len(data), 600)
		for try := range tries {
			flipped := bytes.Clone(data)
			flipped[try*len(data)/tries] ^= 1 << r.IntN(8)
			l := f.open(t, key, flipped)
			points, err := collectPoints(l.Read(t.Context(), nil))
			if err != nil {
				require.True(t, isDamage(err), "%s byte %d: %v", key, try, err)
				require.ErrorContains(t, err, key)
			} else {
				same(t, f.points, points)
				harmless++
			}
			if _, err := l.Summary(t.Context()); err != nil {
				require.True(t, isDamage(err), err)
				require.ErrorContains(t, err, key)
			} else {
				sameSummaries(t, f.sums, l)
			}
			damage, err := l.Verify(t.Context(), nil)
			require.NoError(t, err)
			if !strings.HasSuffix(key, sealedName) {
				require.NotEmpty(t, damage, "%s byte %d", key, try)
				require.Equal(t, key, damage[0].Object)
			}
			_, err = l.Chart(t.Context(), f.points[0].Name, nil)
			if err != nil {
				require.True(t, isDamage(err), err)
			}
		}
		if strings.HasSuffix(key, parquetSuffix) {
			require.Zero(t, harmless)
		}
	}
}

// isDamage: a flipped bit may also make a record seem to be of a newer version.
func isDamage(err error) bool {
	return errors.Is(err, azml.ErrDamaged) || errors.Is(err, azml.ErrUnsupported)
}

// TestLostSealedObjects leaves out, empties or cuts each object.
func TestLostSealedObjects(t *testing.T) {
	t.Parallel()
	f := newSealedFixture(t)
	for key, data := range f.objects {
		for name, left := range map[string][]byte{"gone": nil, "empty": {}, "cut": data[:len(data)/2], "longer": append(bytes.Clone(data), 0)} {
			l := f.open(t, key, left)
			damage, err := l.Verify(t.Context(), nil)
			require.NoError(t, err)
			_, readErr := collectPoints(l.Read(t.Context(), nil))
			sums, sumErr := l.Summary(t.Context())
			switch {
			case strings.HasSuffix(key, sealedName):
				continue // without the record there is nothing sealed, which fsck shows as leftovers
			case strings.HasSuffix(key, parquetSuffix):
				require.Error(t, readErr, name)
				require.NoError(t, sumErr)
			default:
				require.NoError(t, readErr, name)
				require.NoError(t, sumErr, name)
			}
			require.Len(t, sums, len(f.sums))
			require.NotEmpty(t, damage, "%s is %s", key, name)
			require.Equal(t, key, damage[0].Object)
		}
	}
}

// reseal gives the fixture with other bytes under checksums that are right: what
// a decoder sees when somebody writes nonsense.
func (f sealedFixture) reseal(t testing.TB, suffix string, data []byte) *Log {
	t.Helper()
	store := memory.NewObjects()
	var rec record.SealedMetrics
	for k, original := range f.objects {
		if strings.HasSuffix(k, suffix) {
			original = data
		}
		if strings.HasSuffix(k, sealedName) {
			require.NoError(t, record.Decode(original, &rec))
			continue
		}
		_, err := store.Put(t.Context(), k, bytes.NewReader(original), &backend.PutOptions{})
		require.NoError(t, err)
	}
	var sums blockSums
	_, _ = sums.Write(data)
	if suffix == parquetSuffix {
		rec.Points = sums.object(rec.Points.Name)
	} else {
		rec.Digest = sums.object(rec.Digest.Name)
	}
	text, err := record.Encode(&rec, nil)
	require.NoError(t, err)
	_, err = store.Put(t.Context(), testPrefix+sealedName, bytes.NewReader(text), &backend.PutOptions{})
	require.NoError(t, err)
	return Open(store, testPrefix, nil)
}

// readEverything must not panic, and fail with ErrDamaged if at all.
func readEverything(t testing.TB, l *Log) {
	t.Helper()
	_, err := collectPoints(l.Read(t.Context(), nil))
	errs := []error{err}
	_, err = l.Summary(t.Context())
	errs = append(errs, err)
	_, err = l.Chart(t.Context(), "näme 9", nil)
	errs = append(errs, err)
	_, err = l.Verify(t.Context(), nil)
	require.NoError(t, err)
	for _, err := range errs {
		if err != nil && !isNotFound(err) {
			require.ErrorIs(t, err, azml.ErrDamaged)
		}
	}
}
