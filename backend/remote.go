package backend

import (
	"context"
	"net"
)

// Remote is Compute on another machine or in containers: what it is given to run
// has to get there, and what runs there has to reach back. It is the whole of what
// the agent asks of a target beyond running a command.
type Remote interface {
	Compute

	// Platform tells what programs the target runs. Errors: ErrUnavailable,
	// ErrDenied.
	Platform(ctx context.Context) (Platform, error)

	// Install puts a program on the target, where jobs find it at the path given
	// back, and where it stays for later jobs. The name has a digest of the
	// content in it: a program of that name that is there is left as it is. What
	// is cut off is never taken for the program. Safe from many processes at once.
	// Errors: ErrInvalid when the name can't be that of a job, ErrUnavailable,
	// ErrDenied.
	Install(ctx context.Context, name string, program Content) (path string, err error)

	// Listen accepts connections that the job id, and no other, makes to the
	// address from within the target: "unix:" and the path of a socket, or "tcp:",
	// host and port. It may be called before Start, and again after the listener
	// has failed (its Accept gives an error) or its process has died; the address
	// of a job is always the same. A job on several nodes is let in from all of them,
	// each by the address, or by the one that its GatewayVariable has. One process listens for a job at a time: a
	// second one may get ErrConflict. The context bounds the call and not the
	// listener, which Close ends; Remove takes away what is left.
	Listen(ctx context.Context, id string) (listener net.Listener, address string, err error)
}

// Platform is a kind of machine that programs are built for.
type Platform struct {
	// OS is the operating system as Go names it, such as "linux".
	OS string
	// Arch is the processor's architecture as Go names it, such as "amd64".
	Arch string
}
