package backend

import (
	"context"
	"io"
	"log/slog"
)

// ComputeDriver opens the compute targets of one type. It is safe for concurrent
// use.
type ComputeDriver interface {
	// Type names the kind, as it stands in records, such as "Docker".
	Type() string

	// Open makes the target ready for use. It looks at what it was given and
	// asks nothing over a network: what can't be reached is found by Check. The
	// same source is always the same target, with the same jobs, whichever
	// process opens it. Errors: ErrInvalid, naming what is wrong with which
	// member of source.
	Open(ctx context.Context, source ComputeSource) (OpenedCompute, error)
}

// MultiNode is what a ComputeDriver implements whose targets run jobs on several nodes.
type MultiNode interface {
	// MaxNodes is the greatest Job.Nodes that a target may be asked for. Whether it has
	// them at all is found when a job is started, or waits for them.
	MaxNodes() int
}

// OpenedCompute is a target that holds connections until it is closed. Jobs go on
// when it is.
type OpenedCompute interface {
	Remote
	io.Closer
}

// ComputeSource says where a compute target is and how to get in.
type ComputeSource struct {
	// Type is the driver's Type.
	Type string
	// Connection are the facts of the connection, which anybody may see. Their
	// names are the driver's own, but for "cacheDir": the folder on the target
	// where agents keep environments and working folders.
	Connection map[string]string
	// Credentials are what must stay secret.
	Credentials Credentials
	// CacheDir is a folder of this machine for what can be made again. Drivers
	// share it with others, so what they keep lies in a folder of their own below.
	// It is set when a target is opened.
	CacheDir string
	// Program gives the file, on this machine, of a program azml that runs on such a
	// platform, for drivers that put it on their targets. It is set when a target
	// is opened. Errors: ErrNotFound with what to do.
	Program func(ctx context.Context, on Platform) (path string, err error)
	// Agent is Program for what drives runs and jobs on the target: that may be a smaller
	// program, which does no more. It is the file that Install is given for runs.
	Agent func(ctx context.Context, on Platform) (path string, err error)
	// Unpacker gives the file of azml-unpack for the platform, for drivers that send the agent
	// packed. Errors: ErrNotFound where there is none, which is no failure.
	Unpacker func(ctx context.Context, on Platform) (path string, err error)
	// Logger is told of what works on the target, but not as it should. It is set when
	// a target is opened; nil discards it.
	Logger *slog.Logger
}
