package instance

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/atomicfile"
)

// Setup says what an instance is to do.
type Setup struct {
	// Token gets into Jupyter.
	Token string `json:"token"`
	// Address is the IP address that Jupyter listens on.
	Address string `json:"address"`
	// Port is Jupyter's port, 0 for a free one.
	Port int `json:"port,omitempty"`
	// Home is the folder that Jupyter shows.
	Home string `json:"home"`
	// Workspace is the folder of a workspace that MLflow clients are to log to,
	// empty for none.
	Workspace string `json:"workspace,omitempty"`
	// Jobs is the folder of the jobs of backend/process: while one runs, the
	// instance is used.
	Jobs string `json:"jobs"`
	// State is the folder of the status.
	State string `json:"state"`
	// IdleShutdown is after how long without use it ends, in nanoseconds; 0 never.
	IdleShutdown time.Duration `json:"idleShutdown,omitempty"`
}

// statusFile is the status in the folder of states.
const statusFile = "status"

// Status is what an instance says of itself.
type Status struct {
	// Port is where Jupyter answers.
	Port int `json:"port,omitempty"`
	// Idle says that it has ended because nobody used it.
	Idle bool `json:"idle,omitempty"`
	// Reason says why it has ended, if something was wrong.
	Reason string `json:"reason,omitempty"`
}

// readSetup reads what to do. Errors: ErrInvalid, without what was read.
func readSetup(in io.Reader) (s Setup, err error) {
	const most = 64 << 10
	if json.NewDecoder(io.LimitReader(in, most)).Decode(&s) != nil || s.Token == "" || s.State == "" {
		return s, fmt.Errorf("%w: the standard input does not say what to do: this command is for compute instances", azml.ErrInvalid)
	}
	return s, nil
}

// write puts the status into the folder, whole or not at all.
func (s Status) write(dir string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, statusFile), data, 0o600)
}
