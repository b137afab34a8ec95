package rundata

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/agent"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// binding is the data of one run on this machine.
type binding struct {
	h      core.Handle
	run    record.Run
	at     agent.DataPlace
	values map[string]string // of inputs and outputs, by name
	modes  map[string]dataset.Mode
	uses   []use
	outs   []*output
	closes []func() error // in the order in which they are due, from the last
}

// Bind makes the inputs of a run's script available below at.Dir, notes them in the
// run's record, and makes the folders of its outputs. It is an agent.DataBinder.
func Bind(ctx context.Context, h core.Handle, run record.Run, at agent.DataPlace) (_ *agent.Data, err error) {
	b := &binding{h: h, run: run, at: at, values: map[string]string{}, modes: map[string]dataset.Mode{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	const mode = 0o700
	if err := os.MkdirAll(at.Dir, mode); err != nil {
		return nil, err
	}
	for _, in := range run.Definition.Inputs {
		if err := b.input(ctx, in); err != nil {
			return nil, fmt.Errorf("input %q: %w", in.Name, err)
		}
	}
	for _, out := range run.Definition.Outputs {
		if err := b.output(ctx, out); err != nil {
			return nil, fmt.Errorf("output %q: %w", out.Name, err)
		}
	}
	if err := note(ctx, h, run, b.uses); err != nil {
		return nil, err
	}
	if h.Lent() != nil { // on another machine, where nobody collects garbage
		if err := Sweep(h); err != nil {
			h.Logger().Warn("data that no run uses any more could not be removed", "error", err)
		}
	}
	return &agent.Data{Variables: b.variables(), Expand: func(a string) string { return expand(a, b.values) }, Take: b.take, Close: b.close}, nil
}

// looked tells whether the input's files are listed when the script gets it. One
// that is handed on by its ID is but a reference: the script reads what is there when
// it does, if at all.
func looked(in record.DataInput) bool {
	return dataset.Mode(in.Mode) != dataset.ModeDirect || in.RequireUnchanged
}

// input makes one input available.
func (b *binding) input(ctx context.Context, in record.DataInput) error {
	d, err := dataset.NewClient(b.h).GetByID(ctx, in.Dataset, nil)
	if err != nil {
		return err
	}
	seen := dataset.Refer(d)
	if looked(in) {
		if seen, err = dataset.Observe(ctx, d); err != nil {
			return err
		}
	}
	if seen.Changed() {
		if in.RequireUnchanged {
			return fmt.Errorf("%w: the data of %s is not what it was when that was registered: look with azml dataset check, and register a new version", azml.ErrConflict, in.Dataset)
		}
		b.at.Warn("input %s: the data of %s is not what it was when that was registered", in.Name, in.Dataset)
	}
	mode := dataset.Mode(in.Mode)
	switch mode {
	case dataset.ModeDirect:
		b.values[in.Name] = in.Dataset
		fmt.Fprintf(b.at.Log, "input %s: %s, by its ID\n", in.Name, in.Dataset)
	case dataset.ModeMount:
		mode, err = b.mountInput(ctx, in, seen)
	default:
		err = b.download(ctx, in, seen)
	}
	b.modes[in.Name] = mode
	b.uses = append(b.uses, used(in.Name, mode, seen))
	return err
}

// place makes what lies at path on this machine to be found where the script looks
// for it.
func (b *binding) place(in, path, wanted string) error {
	if wanted == "" {
		b.values[in] = path
		return nil
	}
	outside := filepath.IsAbs(wanted)
	if !outside {
		wanted = filepath.Join(b.at.WorkingDir, filepath.FromSlash(wanted))
	}
	b.values[in] = wanted
	const mode = 0o755
	if err := os.MkdirAll(filepath.Dir(wanted), mode); err != nil {
		return err
	}
	if b.left(wanted) {
		if err := os.Remove(wanted); err != nil {
			return err
		}
	}
	err := os.Symlink(path, wanted)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%w: %s is there already: choose another path on the compute", azml.ErrExists, wanted)
	}
	if err == nil && outside {
		b.closes = append(b.closes, func() error { return os.Remove(wanted) })
	}
	return err
}

// left tells whether a run whose driver was killed has left the link there.
func (b *binding) left(path string) bool {
	target, err := os.Readlink(path)
	if err != nil || !strings.HasPrefix(target, agent.WorkDir(b.h, "")+string(filepath.Separator)) {
		return false
	}
	_, err = os.Stat(target)
	return errors.Is(err, os.ErrNotExist)
}

// variables gives Azure ML's environment variables.
func (b *binding) variables() map[string]string {
	v := map[string]string{}
	var inputs, outputs []string
	for _, in := range b.run.Definition.Inputs {
		v[in.Name] = b.values[in.Name]
		inputs = append(inputs, in.Name+":"+string(b.modes[in.Name]))
		if b.modes[in.Name] != dataset.ModeDirect {
			v["AZUREML_DATAREFERENCE_"+in.Name] = b.values[in.Name]
		}
	}
	for _, out := range b.run.Definition.Outputs {
		v[out.Name], v["AZUREML_DATAREFERENCE_"+out.Name] = b.values[out.Name], b.values[out.Name]
		outputs = append(outputs, out.Name)
	}
	if len(inputs) > 0 {
		v["AZUREML_DATASET_ENVIRONMENT_VARS"] = strings.Join(inputs, ",")
	}
	if len(outputs) > 0 {
		v["AZUREML_DATASET_FILE_OUTPUTS"] = strings.Join(outputs, ";")
	}
	return v
}

// close ends what is mounted, lets go of what is kept, and removes links.
func (b *binding) close() error {
	var failures []error
	for _, end := range slices.Backward(b.closes) {
		failures = append(failures, end())
	}
	b.closes = nil
	return errors.Join(failures...)
}
