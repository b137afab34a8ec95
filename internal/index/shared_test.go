package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// many is a store with enough runs to be shared, as a machine has indexed them.
func many(t testing.TB) (backend.Objects, []string) {
	t.Helper()
	objects := memory.NewObjects()
	s := open(t, objects, t.TempDir())
	for i := range sharedLeast {
		s.put(t, fmt.Sprintf("r%03d", i), func(r *record.Run) { r.Tags = map[string]string{"n": fmt.Sprint(i)} })
	}
	s.logTo(t, "r001", map[string][]float64{"m": {1, 2}})
	return objects, s.ids(t, "")
}

// TestShared searches on a machine that has never seen the workspace.
func TestShared(t *testing.T) {
	t.Parallel()
	objects, want := many(t)
	counting := faulty.New(objects, faulty.Plan{})
	s := open(t, counting, t.TempDir())
	require.Equal(t, []string{"r001"}, s.ids(t, "metrics.m = 2"))
	require.Equal(t, want, s.ids(t, ""))
	require.Equal(t, 1, counting.Counts().Get, "the shared index")
	require.Zero(t, counting.Counts().Writes)

	// What has changed since is read: a record, metrics, a deletion, a new run, a
	// run of the same ID, one that goes on.
	s.put(t, "r000", func(r *record.Run) { r.Tags = map[string]string{"n": "new"} })
	s.logTo(t, "r001", map[string][]float64{"m": {3}})
	require.NoError(t, s.Objects().Delete(t.Context(), history.Ref("r002").Key, &backend.DeleteOptions{}))
	s.put(t, "x", nil)
	s.put(t, "r003", func(r *record.Run) { r.Life, r.Tags = "fedcba9876543210", nil })
	s.put(t, "r004", func(r *record.Run) { r.Status = record.Running })
	fresh := open(t, objects, t.TempDir())
	for filter, ids := range map[string][]string{
		"tags.n = 'new'": {"r000"}, "metrics.m = 3": {"r001"}, "metrics.m = 2": {}, "run_id in ('r002', 'x')": {"x"}, "tags.n = '3'": {}, "status = 'Running'": {"r004"}, "tags.n = '5'": {"r005"},
	} {
		require.Equal(t, ids, fresh.ids(t, filter), filter)
	}
	require.Empty(t, fresh.log.warnings())
}

// TestSharedIsRenewed shares again when much has come, and not before.
func TestSharedIsRenewed(t *testing.T) {
	t.Parallel()
	objects, _ := many(t)
	state := func() backend.ETag {
		info, err := objects.Stat(t.Context(), sharedKey)
		require.NoError(t, err)
		return info.ETag
	}
	first := state()
	s := open(t, objects, t.TempDir())
	for i := range sharedLeast - 1 {
		s.put(t, fmt.Sprintf("n%03d", i), nil)
		if i%50 == 0 {
			s.ids(t, "")
		}
	}
	s.ids(t, "")
	require.Equal(t, first, state())
	s.put(t, "one-more", nil)
	s.ids(t, "")
	second := state()
	require.NotEqual(t, first, second)
	counting := faulty.New(objects, faulty.Plan{})
	require.Len(t, open(t, counting, t.TempDir()).ids(t, ""), 2*sharedLeast)
	require.Equal(t, 1, counting.Counts().Get)

	require.NoError(t, objects.Delete(t.Context(), sharedKey, &backend.DeleteOptions{})) // anybody may
	require.Len(t, open(t, objects, t.TempDir()).ids(t, ""), 2*sharedLeast)
	require.NotEqual(t, second, state(), "it is made anew")
}

// TestSharedDamage has something else in the place of the shared index.
func TestSharedDamage(t *testing.T) {
	t.Parallel()
	objects, want := many(t)
	whole, _, err := open(t, objects, t.TempDir()).Read(t.Context(), sharedKey)
	require.NoError(t, err)
	sealed := func(body []byte) []byte {
		body = append([]byte(sharedMagic), body...)
		return binary.LittleEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, data := range map[string][]byte{
		"empty": {}, "garbage": garbage(1000), "cut off": whole[:len(whole)/2], "a flipped bit": flipped, "no compressed bytes": sealed([]byte("x")), "nothing": sealed(nil),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := objects.Put(t.Context(), sharedKey, bytes.NewReader(data), &backend.PutOptions{})
			require.NoError(t, err)
			s := open(t, objects, t.TempDir())
			require.Equal(t, want, s.ids(t, ""))
			require.Contains(t, s.log.warnings(), "shared search index")
			healed, _, err := s.Read(t.Context(), sharedKey)
			require.NoError(t, err)
			require.NoError(t, eachShared(healed, func(string, *state) error { return nil }))
		})
	}
}

// TestSharedLies has items that are not what the objects say: of other states, and
// of the same states with a record that was altered.
func TestSharedLies(t *testing.T) {
	t.Parallel()
	objects, want := many(t)
	s := open(t, objects, t.TempDir())
	stored, err := core.Get[record.Run](t.Context(), s.Handle, history.Ref("r007").Key)
	require.NoError(t, err)
	altered := bytes.Replace(stored.Raw(), []byte(`"7"`), []byte(`"8"`), 1)
	x, err := Of(s.Handle)
	require.NoError(t, err)
	require.NoError(t, x.Refresh(t.Context(), true))
	db, err := x.database(t.Context())
	require.NoError(t, err)
	c, err := db.acquire(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.exec(`UPDATE doc SET record = ? WHERE item = (SELECT n FROM item WHERE id = 'r007')`, altered))
	require.NoError(t, c.exec(`UPDATE item SET etag = 'old' WHERE id = 'r008'`))
	data, err := (&updater{x: x, h: s.Handle, c: c}).shared()
	db.release(c)
	require.NoError(t, err)
	_, err = objects.Put(t.Context(), sharedKey, bytes.NewReader(data), &backend.PutOptions{})
	require.NoError(t, err)
	counting := faulty.New(objects, faulty.Plan{})
	fresh := open(t, counting, t.TempDir())
	require.Equal(t, []string{"r007"}, fresh.ids(t, "tags.n = '7'"))
	require.Equal(t, want, fresh.ids(t, ""))
	require.Equal(t, 3, counting.Counts().Get, "the shared index and two records")
}

func FuzzShared(f *testing.F) {
	objects, _ := many(f)
	whole, _, err := open(f, objects, f.TempDir()).Read(f.Context(), sharedKey)
	require.NoError(f, err)
	f.Add(whole[len(sharedMagic) : len(whole)-4])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		data := append([]byte(sharedMagic), body...)
		data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
		err := eachShared(data, func(_ string, s *state) error {
			_, err := decodeSummaries(s.summaries)
			_ = err // of a lie
			return nil
		})
		if err != nil && !errors.Is(err, errShared) {
			t.Fatal(err)
		}
	})
}
