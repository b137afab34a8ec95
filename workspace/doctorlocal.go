package workspace

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/shirou/gopsutil/v4/disk"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
)

// doctorSecret is the secret that Doctor makes and deletes. Its name is always
// the same: a key vault keeps the names of deleted secrets for months.
const doctorSecret = "azml-doctor"

// secrets tells where secrets are and tries whether the secret store keeps one.
func (d *doctor) secrets(ctx context.Context) {
	switch {
	case d.vault != "":
		d.fine("secrets are in the key vault %s, which the caller named", d.vault)
	case d.recorded != "":
		d.fine("secrets are in the key vault %s, which the workspace's record names", d.recorded)
	}
	store, value := d.h.Secrets(), "scratch "+core.NewID(8)
	err := store.Set(ctx, doctorSecret, value)
	if errors.Is(err, azml.ErrUnsupported) {
		d.find(LevelWarning, "give the workspace a secret store, such as a key vault: endpoints keep their keys there, and scripts get theirs from it", "%v", err)
		return
	}
	if err != nil {
		d.broken("setting a secret", err)
		return
	}
	d.secretsKept = keeps(ctx, store) // a vault tells it by its secrets, and may have no other
	failed := false
	broken := func(what string, err error) {
		if err != nil {
			failed = true
			d.broken(what, err)
		}
	}
	_, err = store.Get(ctx, doctorSecret) // another doctor's value is as good
	broken("reading a secret", err)
	var names []string
	for name, err := range store.List(ctx) {
		broken("listing secrets", err)
		names = append(names, name)
	}
	if !failed && !slices.Contains(names, doctorSecret) {
		failed = true
		d.find(LevelError, "use another secret store", "a secret that was set is not listed")
	}
	err = store.Delete(ctx, doctorSecret)
	if !errors.Is(err, azml.ErrNotFound) { // another doctor was faster
		broken("deleting a secret", err)
	}
	if !failed {
		d.fine("secrets can be set, read, listed and deleted")
	}
	if d.vault != "" && d.stored == "" {
		d.find(LevelWarning, "azml workspace update --vault "+d.vault, "the workspace does not store its key vault: who opens it without naming one has no secrets")
	}
}

// scarce is how little room on a disk is worth a word.
const scarce = 1 << 30

// folders tries whether this machine's folders can be written to.
func (d *doctor) folders(context.Context) {
	spool, err := d.h.SpoolDir()
	if err != nil {
		d.broken("the folder for what is logged", err)
	}
	for _, folder := range []struct{ use, path string }{{"what is logged", spool}, {"environments, indexes and working folders", d.h.CacheDir()}} {
		if folder.path == "" {
			continue
		}
		if err := tryFolder(folder.path); err != nil {
			d.find(LevelError, "make it writable for this user, or name another (OpenOptions.CacheDir, XDG_CACHE_HOME)", "the folder for %s: %v", folder.use, err)
			continue
		}
		usage, err := disk.Usage(folder.path)
		if err == nil && usage.Free < scarce {
			d.find(LevelWarning, "make room", "the folder for %s has %d MB left: %s", folder.use, usage.Free>>20, folder.path)
			continue
		}
		d.fine("the folder for %s can be written to: %s", folder.use, folder.path)
	}
}

// tryFolder writes a file durably and removes it.
func tryFolder(dir string) error {
	f, err := os.CreateTemp(dir, "probe-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("x")
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}
