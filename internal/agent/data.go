package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/mount"
	"github.com/azml-go/azml/internal/record"
)

// DataPlace says where and how data is made available to a script.
type DataPlace struct {
	// Dir is a folder of the run's own for data, which need not be there yet.
	Dir string
	// WorkingDir is the script's working folder.
	WorkingDir string
	// Log is the log of the preparation.
	Log io.Writer
	// Warn keeps a warning with the run.
	Warn func(format string, args ...any)
}

// Data is what a script has of its inputs and outputs.
type Data struct {
	// Variables are the environment variables that name them.
	Variables map[string]string
	// Expand puts their values into an argument.
	Expand func(argument string) string
	// Take stores, registers and notes the outputs, after a script that has ended
	// well; after ErrUnavailable it goes on.
	Take func(ctx context.Context) error
	// Close ends what is mounted and removes what lies outside the run's folder. It
	// is called once.
	Close func() error
}

// DataBinder makes the inputs of a run's script available, notes them in the run's
// record, and readies its outputs.
type DataBinder func(ctx context.Context, run record.Run, at DataPlace) (*Data, error)

// dataDir is the folder of the run's inputs and outputs.
func (d *drive) dataDir() string { return filepath.Join(d.dir, "data") }

// bindData makes inputs and outputs ready. What is wrong with them is the user's to
// mend.
func (d *drive) bindData(ctx context.Context) error {
	def := d.run.Definition
	if len(def.Inputs)+len(def.Outputs) == 0 {
		return nil
	}
	var err error
	d.data, err = d.bind(ctx, d.run, DataPlace{Dir: d.dataDir(), WorkingDir: d.codeDir(), Log: d.prepare, Warn: d.warn})
	if err == nil {
		return nil
	}
	f := d.systemError(fmt.Errorf("make the data ready: %w", err))
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrInvalid) || errors.Is(err, azml.ErrConflict) || errors.Is(err, azml.ErrExists) {
		f.Code = userError
	}
	return f
}

// expand puts the values of inputs and outputs into the command.
func (d *drive) expand(command []string) []string {
	if d.data == nil {
		return command
	}
	for i, argument := range command {
		command[i] = d.data.Expand(argument)
	}
	return command
}

// takeOutputs stores the outputs of a script that has ended well, until the run is
// canceled.
func (d *drive) takeOutputs(running context.Context, outcome error) error {
	if d.data == nil || outcome != nil {
		return outcome
	}
	err := persist(running, d.waits, d.data.Take)
	switch {
	case err == nil:
		return nil
	case running.Err() != nil:
		return context.Cause(running)
	}
	f := d.systemError(fmt.Errorf("store the outputs: %w", err))
	if errors.Is(err, azml.ErrExists) || errors.Is(err, azml.ErrInvalid) || errors.Is(err, azml.ErrConflict) || errors.Is(err, azml.ErrNotFound) {
		f.Code = userError
	}
	return f
}

// closeData ends what is mounted, also by a driver that was killed: what is below a
// mount point is not the run's to remove.
func (d *drive) closeData() error {
	var err error
	if d.data != nil {
		err = d.data.Close()
		d.data = nil
	}
	return errors.Join(err, mount.Detach(d.dir))
}
