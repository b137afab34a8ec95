package localfs_test

import (
	"os"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// TestReadOnlyFolder works as a user who may read the folder only. The user is
// that of one thread, which ends with the test.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	require.NoError(t, put(t.Context(), s, "a/b.json", "1"))
	for path, mode := range map[string]os.FileMode{"": 0o555, "/a": 0o555, "/a/b.json": 0o444, "/.localfs": 0o555, "/.localfs/tmp": 0o555, "/.localfs/locks": 0o555} {
		require.NoError(t, os.Chmod(dir+path, mode))
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700); _ = os.Chmod(dir+"/a", 0o700) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, so the thread ends
		if os.Getuid() == 0 {
			if err := syscall.Setfsuid(65534); err != nil {
				t.Errorf("become another user: %v", err)
				return
			}
		}
		for name, err := range map[string]error{
			"put new":      put(t.Context(), s, "new", "1"),
			"put existing": put(t.Context(), s, "a/b.json", "2"),
			"delete":       s.Delete(t.Context(), "a/b.json", &backend.DeleteOptions{}),
		} {
			if azml.ClassOf(err) != azml.ErrDenied {
				t.Errorf("%s: %v", name, err)
			}
		}
		o, err := s.Get(t.Context(), "a/b.json", &backend.GetOptions{})
		if err != nil {
			t.Errorf("reading: %v", err)
			return
		}
		o.Body.Close()
	}()
	<-done
	require.Equal(t, "1", read(t, s, "a/b.json"))
}
