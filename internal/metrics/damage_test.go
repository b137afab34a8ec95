package metrics

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

// fixture is a small log: its points, its one segment and its one spool file.
type fixture struct {
	points             []Point
	segment, spool     []byte
	segmentID, spoolID string
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	r := newRand(t)
	var f fixture
	limits := defaultLimits
	limits.framePoints, limits.spoolMin = 4, 4096
	l, objects := newLog(t, limits)
	w := newWriter(t, l)
	for range 12 {
		p := randomPoint(r)
		for len(show(p)) > 150 { // the tests try every byte
			p = randomPoint(r)
		}
		require.NoError(t, w.Append(p))
		f.points = append(f.points, p)
	}
	require.NoError(t, w.Flush(t.Context()))
	f.segmentID = segmentKey(testPrefix, w.ID(), 1)
	obj, err := objects.Get(t.Context(), f.segmentID, &backend.GetOptions{})
	require.NoError(t, err)
	f.segment, err = io.ReadAll(obj.Body)
	require.NoError(t, err)
	f.spool, err = os.ReadFile(l.spool.file(w.ID(), 0))
	require.NoError(t, err)
	f.spoolID = w.ID()
	f.spool = f.spool[:w.file.off+40] // with a few of the zeros behind
	return f
}

// open gives a log with the bytes as its segment or spool file.
func (f fixture) open(t *testing.T, segment, spool []byte) *Log {
	t.Helper()
	l, objects := newLog(t, defaultLimits)
	if segment != nil {
		_, err := objects.Append(t.Context(), f.segmentID, 0, segment)
		require.NoError(t, err)
	}
	if spool != nil {
		require.NoError(t, os.WriteFile(l.spool.file(f.spoolID, 0), spool, 0o600))
	}
	return l
}

// check reads the log: its points must be the first of the fixture's, and an
// error must be ErrDamaged.
func (f fixture) check(t *testing.T, l *Log) (int, error) {
	t.Helper()
	got, err := collectPoints(l.Read(t.Context(), nil))
	if err != nil {
		require.ErrorIs(t, err, azml.ErrDamaged)
	}
	require.LessOrEqual(t, len(got), len(f.points))
	byName := make(map[uint64]string)
	for i, p := range f.points {
		byName[uint64(i+1)] = show(p)
	}
	for i, p := range got {
		require.EqualValues(t, i+1, p.Seq)
		require.Equal(t, byName[p.Seq], show(p))
	}
	return len(got), err
}

func TestTornSegmentIsCut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	last := 0
	for n := range f.segment {
		l := f.open(t, f.segment[:n], nil)
		got, err := f.check(t, l)
		require.NoError(t, err, "cut at %d", n)
		require.GreaterOrEqual(t, got, last)
		last = got
		damage, err := l.Verify(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, damage)
	}
	require.Equal(t, 8, last) // all but the last frame
}

func TestTornSpoolIsCutAndRecovered(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	last := 0
	for n := range f.spool {
		torn := f.killedAt(n)
		l := f.open(t, nil, torn)
		got, err := f.check(t, l)
		require.NoError(t, err, "cut at %d", n)
		require.GreaterOrEqual(t, got, last)
		last = got
		done, err := l.Recover(t.Context())
		require.NoError(t, err)
		require.Equal(t, Recovered{Writers: 1, Points: got}, done, "cut at %d", n)
		again, err := f.check(t, l)
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	require.Equal(t, 12, last)
}

// killedAt gives the spool file as it is when its writer dies after writing
// the byte at n-1: all that follows is zero, and so is the CRC of the record
// that was being written.
func (f fixture) killedAt(n int) []byte {
	torn := bytes.Clone(f.spool)
	clear(torn[n:])
	h, crc, err := parseSpoolHeader(f.spool)
	for off := h.size(); err == nil && off < n; {
		body, total, _ := cutRecord(f.spool[off:], crc)
		if body == nil || off+total > n {
			clear(torn[off:min(off+4, len(torn))])
			break
		}
		crc = binary.LittleEndian.Uint32(f.spool[off:])
		off += total
	}
	return torn
}

func TestShortSpoolFileIsCut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for n := range f.spool {
		_, err := f.check(t, f.open(t, nil, f.spool[:n]))
		require.NoError(t, err, "cut at %d", n)
	}
}

func TestFlippedBits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for i := range f.segment {
		for _, bit := range []byte{0x01, 0x80} {
			flipped := bytes.Clone(f.segment)
			flipped[i] ^= bit
			l := f.open(t, flipped, nil)
			_, err := f.check(t, l)
			require.ErrorIs(t, err, azml.ErrDamaged, "segment byte %d", i)
			require.ErrorContains(t, err, f.segmentID)
			damage, err := l.Verify(t.Context(), nil)
			require.NoError(t, err)
			require.NotEmpty(t, damage)
			require.Equal(t, f.segmentID, damage[0].Object)
		}
	}
	for i := range f.spool {
		bit := byte(0x10)
		if f.spool[i] == bit { // a last CRC with a zero more is what a record has that was being written
			bit = 0x20
		}
		flipped := bytes.Clone(f.spool)
		flipped[i] ^= bit
		l := f.open(t, nil, flipped)
		got, err := f.check(t, l)
		require.NoError(t, err, "spool byte %d", i)
		done, err := l.Recover(t.Context())
		require.NoError(t, err)
		require.Equal(t, got, done.Points)
		if got < len(f.points) {
			require.Len(t, done.Damaged, 1, "spool byte %d", i)
			require.FileExists(t, done.Damaged[0])
		}
	}
}

// TestDamagedSpoolBesideStore: what is in the store is read even when the
// spool file that it came from is damaged.
func TestDamagedSpoolBesideStore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	spool := bytes.Clone(f.spool)
	spool[len(spool)/2] ^= 1
	got, err := f.check(t, f.open(t, f.segment, spool))
	require.NoError(t, err)
	require.Equal(t, len(f.points), got)
}

func TestMissingPointsAreDamage(t *testing.T) {
	t.Parallel()
	l, objects := newLog(t, smallLimits)
	w := newWriter(t, l)
	for i := range 300 {
		require.NoError(t, w.Log("x", float64(i)*1.1, int64(i*i), testTime))
	}
	require.NoError(t, w.Close(t.Context()))
	writers, err := l.Writers(t.Context())
	require.NoError(t, err)
	require.Len(t, writers, 1)
	require.Greater(t, writers[0].Segments, 3)
	require.NoError(t, objects.Delete(t.Context(), segmentKey(testPrefix, w.ID(), 2), &backend.DeleteOptions{}))
	_, err = collectPoints(l.Read(t.Context(), nil))
	require.ErrorIs(t, err, azml.ErrDamaged)
	require.ErrorContains(t, err, segmentKey(testPrefix, w.ID(), 3)+" at offset 0")
	damage, err := l.Verify(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, damage, 1)
	require.Contains(t, damage[0].Problem, "are missing")
}

// TestTearingStore has a store that leaves parts of appends behind.
func TestTearingStore(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	faulty := newFaulty(r)
	faulty.tearing = true
	l := openLog(t, faulty, t.TempDir(), smallLimits)
	w := newWriter(t, l)
	var want []Point
	for range 40 {
		for range 20 {
			p := randomPoint(r)
			require.NoError(t, w.Append(p))
			want = append(want, p)
		}
		faulty.rate = 0.4
		_ = w.Flush(t.Context())
		faulty.rate = 0
		same(t, want, readAll(t, l))
	}
	require.NoError(t, w.Close(t.Context()))
	require.Greater(t, faulty.failed, 20)
	same(t, want, readAll(t, l))
}

// foreign answers the first append with a write of somebody else's bytes.
type foreign struct {
	*memory.Objects
	done bool
}

func (f *foreign) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	if !f.done {
		f.done = true
		_, _ = f.Objects.Append(ctx, key, offset, []byte(frameMagic))
		return backend.Info{}, errors.Join(azml.ErrConflict, errFault)
	}
	return f.Objects.Append(ctx, key, offset, data)
}

func TestConflictIsResolved(t *testing.T) {
	t.Parallel()
	l := openLog(t, &foreign{Objects: memory.NewObjects()}, t.TempDir(), defaultLimits)
	w := newWriter(t, l)
	require.NoError(t, w.Log("x", 1, 0, testTime))
	require.NoError(t, w.Close(t.Context()))
	require.Len(t, readAll(t, l), 1)
}
