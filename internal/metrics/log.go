package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// Log is the metric log of one run. It holds no open files and no goroutines
// of its own and needs no closing; its writers do. It is safe for concurrent
// use.
type Log struct {
	objects backend.Objects
	prefix  string
	spool   spoolDir
	temp    string
	logger  *slog.Logger
	now     func() time.Time
	flush   time.Duration
	shipped func(ctx context.Context, points int)
	limits  limits
}

// Options are the options of Open.
type Options struct {
	// SpoolDir is the folder of the local file system for the spool files of
	// this log and of no other. It is made with the first writer and deleted
	// with the last. All processes of the machine that log to the run, or recover it, name the
	// same folder. Empty serves readers only.
	SpoolDir string
	// TempDir is the folder for the temporary files of Seal, which makes it; that
	// of the system when empty. What is in it and can be deleted is left by
	// processes that died.
	TempDir string
	// Logger is told of stores that fail and of damage; nil discards.
	Logger *slog.Logger
	// Now is the clock for points that bring no time, time.Now by default.
	Now func() time.Time
	// FlushInterval is how often Writer.Run ships, 1 second by default.
	FlushInterval time.Duration
	// Shipped, when not nil, is told of points that have become durable in the
	// store, and must be fast.
	Shipped func(ctx context.Context, points int)
}

// limits are the sizes at which things are cut. Tests make them small.
type limits struct {
	spoolMin, spoolMax int   // size of a writer's first spool file, and of its later ones
	framePoints        int   // points in a frame
	frameBytes         int   // bytes in a frame, about
	appendBytes        int   // bytes in one append to the store
	segmentBytes       int64 // bytes in a segment
	segmentAppends     int   // appends to a segment; Azure takes 50,000
	groupRows          int   // points in a row group of the sealed form
	groupBytes         int   // bytes of strings, lists and tables in one
}

var defaultLimits = limits{
	spoolMin: 64 << 10, spoolMax: 16 << 20,
	framePoints: 1 << 15, frameBytes: 1 << 20, appendBytes: 4 << 20,
	segmentBytes: 64 << 20, segmentAppends: 45_000,
	groupRows: 1 << 19, groupBytes: 64 << 20,
}

// Open gives the metric log whose objects have keys that begin with prefix,
// such as "runs/<id>/metrics-<life>/". It reads nothing. Nil options are the zero
// Options.
func Open(objects backend.Objects, prefix string, opts *Options) *Log {
	if opts == nil {
		opts = &Options{}
	}
	l := &Log{
		objects: objects, prefix: prefix, spool: spoolDir(opts.SpoolDir), temp: opts.TempDir,
		logger: opts.Logger, now: opts.Now, flush: opts.FlushInterval, shipped: opts.Shipped, limits: defaultLimits,
	}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.shipped == nil {
		l.shipped = func(context.Context, int) {}
	}
	if l.flush <= 0 {
		l.flush = time.Second
	}
	return l
}

// unixNano gives the time as it is stored. Errors: ErrInvalid outside the
// years 1678 to 2261.
func unixNano(t time.Time) (int64, error) {
	const last = 1<<63/1_000_000_000 - 1
	if sec := t.Unix(); sec < -last || sec > last {
		return 0, fmt.Errorf("%w: time %s of a metric is outside the years 1678 to 2261", azml.ErrInvalid, t)
	}
	return t.UnixNano(), nil
}
