package backend

import (
	"context"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/azml-go/azml"
)

// Compute starts commands on a target and watches over them. A job is one
// command on one node, or on several at once where the target has them; it
// ends by itself, or it serves until it is cancelled. A job is known by its
// ID alone: another process that opens the same target can watch, read and
// cancel it.
//
// All methods are safe for concurrent use by any number of processes.
type Compute interface {
	// Check tells whether the target can take jobs now. Errors: ErrUnavailable,
	// ErrDenied, ErrUnsupported, with what to do about it.
	Check(ctx context.Context) error

	// Start starts the job and returns when its command runs or could not be
	// started. The context bounds the starting only: the job outlives it, and
	// outlives the starting process. A job that could not be started leaves
	// nothing behind. Errors: ErrExists when the target knows the ID,
	// ErrInvalid when the command or its folder is not there.
	Start(ctx context.Context, job Job) error

	// Status tells how the job is. Errors: ErrNotFound.
	Status(ctx context.Context, id string) (JobStatus, error)

	// Wait blocks until the job has ended, that is until no process of it is
	// left and all its output can be read, and gives the final status.
	// Errors: ErrNotFound.
	Wait(ctx context.Context, id string) (JobStatus, error)

	// Output opens what the job has written to its standard output and
	// standard error, in the order written, on one of its nodes. With Follow it ends when the job
	// has ended, else at what is there now. It can be opened at any time until
	// Remove, by many readers. Errors: ErrNotFound.
	Output(ctx context.Context, id string, opts *OutputOptions) (io.ReadCloser, error)

	// Cancel asks the job's processes to end (SIGTERM where there are
	// signals), all of them, also those the command started, and ends them by
	// force (SIGKILL) when they still run after grace. It returns when none is
	// left. Cancelling a job that has ended does nothing; one that never began may be
	// forgotten, as by Remove. Errors: ErrNotFound.
	Cancel(ctx context.Context, id string, grace time.Duration) error

	// Remove forgets an ended job and deletes what the target kept for it.
	// Errors: ErrNotFound, ErrConflict while it runs.
	Remove(ctx context.Context, id string) error

	// List yields the jobs that the target knows, in byte order of their IDs.
	// Rules as Objects.List.
	List(ctx context.Context) iter.Seq2[JobStatus, error]
}

// Job is a command to start.
type Job struct {
	// ID names the job on the target: 1 to 256 characters of letters, digits,
	// "-", "_" and ".", not beginning with ".". Unique for ever.
	ID string
	// Command is the program and its arguments; a program without "/" is
	// looked up in the PATH of Env.
	Command []string
	// Dir is the folder on the target that the command starts in. It exists.
	Dir string
	// Env is the command's whole environment, as name to value: nothing of the
	// starting process's environment is added.
	Env map[string]string
	// Input is what the command reads from its standard input, which ends after
	// it; at most 64 KiB. It is the way for what must not be seen by others, such
	// as tokens: no driver stores it or shows it in a process list or a
	// description of the job.
	Input []byte
	// Image is the container image that the command runs in, for targets that
	// run containers; others refuse one with ErrUnsupported.
	Image string
	// Limits bound what the job may use, on each of its nodes.
	Limits Limits
	// Nodes is the number of nodes that the command runs on at once, once on each
	// and with the same Input; 0 and 1 are one. All begin or none does. On several,
	// the environment has NodeRankVariable and its siblings besides Env. The job runs
	// until it has ended on all nodes; when one fails, that is when it doesn't exit
	// with code 0, the others are ended, and its end, with a Reason that names the
	// node, is the job's. A target that has not so many refuses with ErrUnsupported.
	Nodes int
}

// What a command on one of several nodes finds in its environment.
const (
	// NodeRankVariable is the number of its node, from 0.
	NodeRankVariable = "AZML_NODE_RANK"
	// NodeCountVariable is the number of nodes.
	NodeCountVariable = "AZML_NODE_COUNT"
	// MainAddressVariable is the host name or the IP address by which it finds node
	// 0 over the network; on node 0 it may be a loopback address.
	MainAddressVariable = "AZML_MAIN_ADDRESS"
	// GatewayVariable is the address of Remote.Listen as this node has it; it is
	// there only where that differs between nodes.
	GatewayVariable = "AZML_NODE_GATEWAY"
)

// CheckNodes is for drivers of targets that have one node: it refuses jobs for
// several. Errors: ErrUnsupported, ErrInvalid.
func CheckNodes(job Job) error {
	switch {
	case job.Nodes < 0:
		return fmt.Errorf("%w: job %q asks for %d nodes", azml.ErrInvalid, job.ID, job.Nodes)
	case job.Nodes > 1:
		return fmt.Errorf("%w: job %q asks for %d nodes, and the target is one: use a cluster", azml.ErrUnsupported, job.ID, job.Nodes)
	}
	return nil
}

// CheckNode is for drivers of such targets, too: it refuses the output of any other
// node than 0. Errors: ErrNotFound.
func CheckNode(id string, opts *OutputOptions) error {
	if opts.Node != 0 {
		return fmt.Errorf("%w: node %d of job %q, which has one", azml.ErrNotFound, opts.Node, id)
	}
	return nil
}

// Limiter is an optional interface of Compute: a target that can hold jobs to
// limits. Others refuse all but the zero Limits.
type Limiter interface {
	// CheckLimits tells, before there is a job, whether the target can hold one to
	// the limits and has what they grant. Errors: ErrUnsupported, ErrUnavailable.
	CheckLimits(ctx context.Context, limits Limits) error
}

// Limits bound what a job may use of its target. Zero means no limit of its own.
// A target that can't hold the job to a limit refuses it with ErrUnsupported.
type Limits struct {
	// CPUs is the number of processors, which may be a fraction.
	CPUs float64 `json:"cpus,omitempty"`
	// Memory is in bytes.
	Memory int64 `json:"memory,omitempty"`
	// SharedMemory is the size of /dev/shm in bytes.
	SharedMemory int64 `json:"sharedMemory,omitempty"`
	// GPUs is the number of accelerators, -1 for all that there are.
	GPUs int `json:"gpus,omitempty"`
}

// Validate tells whether the limits mean something. Errors: ErrInvalid.
func (l Limits) Validate() error {
	if l.CPUs < 0 || l.Memory < 0 || l.SharedMemory < 0 || l.GPUs < -1 {
		return fmt.Errorf("%w: limits can't be negative, but for -1 GPUs, which are all", azml.ErrInvalid)
	}
	return nil
}

// JobState is the state of a job.
type JobState string

// The states of a job.
const (
	// JobRunning says that the command runs, or that processes it started do.
	JobRunning JobState = "Running"
	// JobExited says that the command ended by itself; ExitCode says how.
	JobExited JobState = "Exited"
	// JobKilled says that a signal or the target ended the command; Reason
	// says which. A target that is told a code alone, as container engines are,
	// takes 128+n for signal n.
	JobKilled JobState = "Killed"
	// JobLost says that the target can't tell how the job ended, for example
	// after the machine was started anew. No process of it is left.
	JobLost JobState = "Lost"
)

// JobStatus tells how a job is.
type JobStatus struct {
	// ID names the job.
	ID string
	// State is the job's state.
	State JobState
	// ExitCode is the command's exit code when State is JobExited.
	ExitCode int
	// Reason says in words why the job is in its state, such as
	// "killed by signal 9 (killed)"; empty when there is nothing to say.
	Reason string
	// Node is the number of the node, from 0, that the state is of: of a job on several
	// nodes the one that failed first.
	Node int
	// WaitsForRoom says, of a job that is being started, that its target has no place for
	// it yet: others have it, or a queue gives it later. Reason says what it waits for.
	WaitsForRoom bool
	// Started is when the command started, by the target's clock.
	Started time.Time
	// Ended is when it ended, zero while it runs or when it was lost.
	Ended time.Time
}

// OutputOptions are the options of Compute.Output.
type OutputOptions struct {
	// Offset is the first byte wanted.
	Offset int64
	// Follow keeps the reader open, giving new output as it is written, until
	// the job has ended.
	Follow bool
	// Node is the number of the node, from 0, whose output is wanted. Errors:
	// ErrNotFound when the job has no such node.
	Node int
}

// Reachable is an optional interface of Compute: a target whose jobs can be reached
// by jobs of other targets over a network, at any port.
type Reachable interface {
	// Address gives the host name or the IP address of a running job. Errors:
	// ErrNotFound, ErrUnsupported when its network lets nobody in.
	Address(ctx context.Context, id string) (string, error)
}

// Rehearser is an optional interface of Compute: a target that can tell, without starting
// anything, whether it would take a job. It is for who sets a target up, for what a job has
// of its own, such as its image and limits, may be what decides.
type Rehearser interface {
	// Rehearse tells what is in the way of a job. Errors: as Check, and ErrNotFound.
	Rehearse(ctx context.Context) error
}

// Near is an optional interface of Compute: a target whose jobs are reached by one
// folder of this machine, that of ComputeSource.CacheDir, so that a lock in there tells
// all who keep its jobs from each other.
type Near interface {
	// Near tells whether it is so.
	Near() bool
}
