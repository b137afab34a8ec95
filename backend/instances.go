package backend

import (
	"context"
	"io"
	"time"
)

// Instance is an optional interface of OpenedCompute: the target is one machine for
// development, with a notebook server, that is made, stopped and started again. Its
// jobs run on the machine as it is.
type Instance interface {
	// Images makes the images that the machine can have.
	Images() Images

	// Packages are the requirements, as pip reads them, of what is to be in its
	// image besides the notebook server.
	Packages() []string

	// StartInstance makes the machine when there is none, starts it unless it runs,
	// and returns when its notebook server answers. What is there of it stays:
	// its home folder, and of a machine that was stopped all of its files. What
	// could not be started is stopped, and the error says why. Errors:
	// ErrFailed, ErrUnavailable, ErrUnsupported.
	StartInstance(ctx context.Context, setup InstanceSetup) error

	// StopInstance stops the machine, which ends all that runs on it. Stopping one
	// that does not run does nothing.
	StopInstance(ctx context.Context) error

	// DeleteInstance removes the machine and all its files, also its home folder.
	// Deleting what is not there does nothing.
	DeleteInstance(ctx context.Context) error

	// InstanceStatus tells how the machine is. Errors: ErrUnavailable.
	InstanceStatus(ctx context.Context) (InstanceStatus, error)
}

// InstanceSetup says what a machine is made of.
type InstanceSetup struct {
	// Image is what it runs, which has a notebook server. A machine that is there
	// keeps its own.
	Image Image
	// Workspace is a folder of this machine that it has, "" for none.
	Workspace string
	// Log gets what its programs say while it starts; never nil.
	Log io.Writer
}

// InstanceStatus tells how a machine is.
type InstanceStatus struct {
	// Phase is what it does.
	Phase InstancePhase
	// Reason says in words why, where there is something to say.
	Reason string
	// Idle says that it has stopped by itself, as nobody used it.
	Idle bool
	// Since is when the phase began, zero where that is not known.
	Since time.Time
	// URL is where its notebook server answers those who have the token, on this
	// machine alone; empty unless it runs.
	URL string
	// Token is what gets into the notebook server. It is a secret.
	Token string
}

// InstancePhase is what a machine does.
type InstancePhase string

// The phases of machines.
const (
	// InstanceMissing says that there is no machine yet.
	InstanceMissing InstancePhase = "Missing"
	// InstanceSettingUp says that it runs, and its notebook server does not answer yet.
	InstanceSettingUp InstancePhase = "SettingUp"
	// InstanceRunning says that its notebook server answers.
	InstanceRunning InstancePhase = "Running"
	// InstanceStopped says that it does not run.
	InstanceStopped InstancePhase = "Stopped"
)
