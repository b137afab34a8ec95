package workspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
)

// permissions tries each kind of request that a workspace makes.
func (d *doctor) permissions(ctx context.Context) {
	objects := d.h.Objects()
	if _, err := objects.Stat(ctx, key); err != nil {
		d.broken("reading the workspace's record", err)
	}
	for _, err := range objects.List(ctx, &backend.ListOptions{Prefix: key}) {
		if err != nil {
			d.broken("listing objects", err)
		}
	}
	if d.unwritable {
		return
	}
	scratch, log := "probe-"+core.NewID(8), "probe-"+core.NewID(8)
	failed := false
	tried := func(what string, err error) bool {
		if err != nil {
			failed = true
			d.broken(what, err)
		}
		return err == nil
	}
	const times = 7 // an odd number has a median
	for i := range times {
		if !tried("writing an object", d.write(ctx, scratch, strings.Repeat("x", i+1))) || !tried("reading an object", d.readWhole(ctx, scratch)) {
			break
		}
	}
	_, err := objects.Append(ctx, log, 0, []byte("x"))
	tried("appending to an object", err)
	for _, k := range []string{scratch, log} {
		err := objects.Delete(ctx, k, &backend.DeleteOptions{})
		if !errors.Is(err, azml.ErrNotFound) { // it could not be made, or somebody on the way has sent the request twice
			tried("deleting an object", err)
		}
	}
	if !failed {
		d.fine("objects can be listed, read, written, appended to and deleted")
	}
}

// write writes an object, takes the time, and compares the clocks.
func (d *doctor) write(ctx context.Context, key, content string) error {
	begun, before := time.Now(), d.h.Now()
	info, err := d.h.Objects().Put(ctx, key, strings.NewReader(content), &backend.PutOptions{})
	if err != nil {
		return err
	}
	d.written = append(d.written, time.Since(begun))
	d.skews = append(d.skews, skew(before, info.Modified, d.h.Now()))
	return nil
}

// skew tells by how much the store's clock is ahead of this machine's, at the
// least: its time was taken somewhere between two of ours, and stores may show
// whole seconds.
func skew(before, stores, after time.Time) time.Duration {
	const resolution = time.Second
	if ahead := stores.Sub(after); ahead > 0 {
		return ahead
	}
	return min(0, stores.Add(resolution).Sub(before))
}

// readWhole reads an object and takes the time.
func (d *doctor) readWhole(ctx context.Context, key string) error {
	begun := time.Now()
	object, err := d.h.Objects().Get(ctx, key, &backend.GetOptions{})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, object.Body)
	d.read = append(d.read, time.Since(begun))
	return errors.Join(err, object.Body.Close())
}

const (
	// noticedSkew is a difference of clocks that shows in times of runs, and
	// harmfulSkew one with which tokens and signatures are refused.
	noticedSkew, harmfulSkew = 5 * time.Second, 5 * time.Minute
	// slow is how long a small request takes where a workspace is no pleasure.
	slow = 500 * time.Millisecond
)

// clock compares this machine's clock with the store's.
func (d *doctor) clock(context.Context) {
	if len(d.skews) == 0 {
		return
	}
	ahead := slices.MinFunc(d.skews, func(a, b time.Duration) int { return cmp.Compare(a.Abs(), b.Abs()) })
	level, fix := LevelInformation, ""
	switch {
	case ahead.Abs() >= harmfulSkew:
		level, fix = LevelError, "set this machine's clock (NTP): tokens and signatures are refused with such a difference"
	case ahead.Abs() >= noticedSkew:
		level, fix = LevelWarning, "set this machine's clock (NTP): times of runs and metrics are wrong by as much"
	}
	d.find(level, fix, "%s", clocks(ahead))
}

func clocks(ahead time.Duration) string {
	switch rounded := ahead.Abs().Round(time.Millisecond); {
	case ahead > 0:
		return fmt.Sprintf("the store's clock is ahead of this machine's by %s or more", rounded)
	case ahead < 0:
		return fmt.Sprintf("the store's clock is behind this machine's by %s or more", rounded)
	}
	return "the clocks of this machine and of the store agree"
}

// latency tells how long small requests took.
func (d *doctor) latency(context.Context) {
	if len(d.read) == 0 || len(d.written) == 0 {
		return
	}
	read, written := median(d.read), median(d.written)
	level, fix := LevelInformation, ""
	if max(read, written) >= slow {
		level, fix = LevelWarning, "work from a machine near the store, such as one in its region, or look at the network"
	}
	d.find(level, fix, "a small read takes %s, a small write %s (medians of %d)", round(read), round(written), len(d.read))
}

func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// round leaves about three digits.
func round(t time.Duration) time.Duration {
	unit := time.Microsecond
	for t > 1000*unit {
		unit *= 10
	}
	return t.Round(unit)
}
