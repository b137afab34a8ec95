//go:build linux

package scheduler

import (
	"context"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

// ServeAndDie schedules a cluster and has this process killed at a write to the store:
// every other one is done before that.
func ServeAndDie(ctx context.Context, h core.Handle, computes []backend.ComputeDriver, name string, o Options, write int64) {
	o.abandon, o.takenAfter = abandonedAfter, history.FailAfter
	serve(ctx, core.New(core.Config{Objects: &dying{Objects: h.Objects(), at: write}, Secrets: h.Secrets(), Local: h.Local(), Computes: computes,
		CacheDir: h.CacheDir(), Program: h.Program(), Workspace: h.Workspace()}), name, o)
}

// TakenAfter gives options by which nodes that do not answer for so long were taken away.
func TakenAfter(o Options, silent time.Duration) Options {
	o.takenAfter = silent
	return o
}

// StartNode starts a node whose state says that it is being started, of a cluster that this
// process schedules.
func StartNode(ctx context.Context, h core.Handle, name string, o Options, n record.ClusterNode) {
	newCluster(h, name, o).startNode(ctx, n)
}

// dying is a store at a write to which this process is killed.
type dying struct {
	backend.Objects
	at      int64
	written atomic.Int64
}

func (d *dying) write(do func()) {
	n := d.written.Add(1)
	if n < d.at || n%2 == 0 {
		do()
	}
	if n >= d.at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// Unwrap gives the store itself, which may be able to do more.
func (d *dying) Unwrap() any { return d.Objects }

// Put implements backend.Objects.
func (d *dying) Put(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (info backend.Info, err error) {
	d.write(func() { info, err = d.Objects.Put(ctx, key, c, opts) })
	return info, err
}

// Append implements backend.Objects.
func (d *dying) Append(ctx context.Context, key string, offset int64, data []byte) (info backend.Info, err error) {
	d.write(func() { info, err = d.Objects.Append(ctx, key, offset, data) })
	return info, err
}

// Delete implements backend.Objects.
func (d *dying) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) (err error) {
	d.write(func() { err = d.Objects.Delete(ctx, key, opts) })
	return err
}
