//go:build linux || darwin

package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/internal/jobset"
)

// List implements backend.Compute. It reads the folder when the range begins
// and each job's record when its turn comes.
func (d *Driver) List(ctx context.Context) iter.Seq2[backend.JobStatus, error] {
	return jobset.List(ctx, d.ids, d.Status)
}

// ids gives the IDs of all jobs, sorted.
func (d *Driver) ids(ctx context.Context) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a folder that was removed has no jobs; Start makes it anew
		return nil, classify(err)
	}
	var ids []string
	for _, e := range entries {
		id := e.Name()
		if strings.Contains(id, "~") {
			r, err := readRecord(filepath.Join(d.dir, id, recordFile))
			if err != nil {
				continue
			}
			id = r.ID
		}
		if validID(id) == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Remove implements backend.Compute.
func (d *Driver) Remove(ctx context.Context, id string) error {
	s, err := d.Status(ctx, id)
	if err != nil {
		return err
	}
	if s.State == backend.JobRunning {
		return fmt.Errorf("%w: job %q still runs; cancel it first", azml.ErrConflict, id)
	}
	return errors.Join(d.removeSocket(id), d.discard(filepath.Join(d.dir, folder(id))))
}
