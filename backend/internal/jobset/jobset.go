// Package jobset has what drivers of compute targets do alike with their jobs.
package jobset

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// List yields the statuses of the jobs whose IDs ids gives, in that order, each
// asked for when its turn comes. Those that are removed meanwhile are left out.
func List(ctx context.Context, ids func(context.Context) ([]string, error), status func(context.Context, string) (backend.JobStatus, error)) iter.Seq2[backend.JobStatus, error] {
	return func(yield func(backend.JobStatus, error) bool) {
		all, err := ids(ctx)
		if err != nil {
			yield(backend.JobStatus{}, err)
			return
		}
		for _, id := range all {
			s, err := status(ctx, id)
			if errors.Is(err, azml.ErrNotFound) {
				continue
			}
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// Forget ends a job at once and removes it. One that is not there is no error.
func Forget(ctx context.Context, c backend.Compute, id string) error {
	err := c.Cancel(ctx, id, 0)
	if err == nil {
		err = c.Remove(ctx, id)
	}
	if errors.Is(err, azml.ErrNotFound) {
		return nil
	}
	return err
}

// CopyOutput writes what a job writes, until it ends.
func CopyOutput(ctx context.Context, c backend.Compute, id string, to io.Writer) error {
	out, err := c.Output(ctx, id, &backend.OutputOptions{Follow: true})
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(to, out)
	return err
}
