package testenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// SmallDisk gives an empty folder on a file system of its own with room for
// size bytes, for tests of what happens on a full disk. It is unmounted at the
// end of the test.
func SmallDisk(t testing.TB, size int64) string {
	t.Helper()
	dir := t.TempDir()
	SmallDiskAt(t, dir, size)
	return dir
}

// SmallDiskAt is SmallDisk at a path of the caller's choice, which is made.
func SmallDiskAt(t testing.TB, dir string, size int64) {
	t.Helper()
	if err := canMount(); err != nil {
		Skip(t, AbilityMount, err.Error())
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := output(t.Context(), "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", size), "tmpfs", dir); err != nil {
		Skip(t, AbilityMount, err.Error())
	}
	t.Cleanup(func() {
		// Lazily, so that a file left open doesn't keep the folder.
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", dir, err, out)
		}
	})
}

func canMount() error {
	switch {
	case runtime.GOOS != "linux":
		return errors.New("small disks are made on Linux only")
	case os.Geteuid() != 0:
		return errors.New("only root may mount a small disk")
	}
	return nil
}
