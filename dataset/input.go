package dataset

import (
	"context"
	"fmt"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
)

// Mode says how a run gets or gives data.
type Mode string

// The modes. Inputs are direct, downloaded or mounted, outputs uploaded or mounted.
const (
	// ModeDirect gives the script the dataset's ID, moves nothing and looks at nothing.
	ModeDirect Mode = "direct"
	// ModeDownload copies files to the compute before the script starts, and gives
	// their folder: the default of inputs. A table is given as one Parquet file.
	// What is on the compute already, of the same files, is not copied again.
	ModeDownload Mode = "download"
	// ModeMount gives a folder in which files are read when the script reads them,
	// and stored when it closes them. Where nothing can be mounted, inputs are
	// downloaded and outputs uploaded instead, and the run's log says so.
	ModeMount Mode = "mount"
	// ModeUpload stores the files of a folder when the script has ended well: the
	// default of outputs.
	ModeUpload Mode = "upload"
)

// Input is a dataset that a run's script gets under a name.
type Input struct {
	// Dataset is the dataset; one that is not registered is saved.
	Dataset *Dataset
	// ID names it instead, as Client.GetByID takes it, or is a path of files in a
	// datastore, "azureml://datastores/<name>/paths/<path>". A name without a
	// version is the version that is the latest when the run is submitted.
	ID string
	// Mode is ModeDirect, ModeDownload or ModeMount; ModeDownload when empty.
	Mode Mode
	// PathOnCompute is where the script finds it: a path below its working folder,
	// or an absolute one, at which nothing is; empty for a folder of the run's.
	PathOnCompute string
	// RequireUnchanged fails the run, before the script starts, when the data is not
	// what it was when the version was registered. Without it the run has a warning
	// then.
	RequireUnchanged bool
}

// resolve finds the dataset, and keeps one that is not registered.
func (in Input) resolve(ctx context.Context, h core.Handle) (*Dataset, error) {
	c := NewClient(h)
	d := in.Dataset
	switch {
	case (d == nil) == (in.ID == ""):
		return nil, fmt.Errorf("%w: give either a dataset or the ID of one", azml.ErrInvalid)
	case d != nil:
	case datastore.IsURI(in.ID):
		p, err := ParsePath(in.ID)
		if err == nil {
			d, err = c.FromFiles(ctx, []Path{p}, nil)
		}
		if err != nil {
			return nil, err
		}
	default:
		return c.GetByID(ctx, in.ID, nil)
	}
	if d.stored == nil {
		return d, save(ctx, d.h, d.ID(), d.def)
	}
	return d, nil
}

// use gives what a run's record says of the input.
func (in Input) use(ctx context.Context, h core.Handle, name string) (record.DataInput, error) {
	out := record.DataInput{Name: name, Mode: string(in.Mode), PathOnCompute: in.PathOnCompute, RequireUnchanged: in.RequireUnchanged}
	d, err := in.resolve(ctx, h)
	if err != nil {
		return out, err
	}
	out.Dataset = d.Ref()
	switch in.Mode {
	case "":
		out.Mode = string(ModeDownload)
	case ModeDirect, ModeDownload:
	case ModeMount:
		if d.Type() == TypeTabular {
			return out, fmt.Errorf("%w: a table can't be mounted: download gives it as a Parquet file, direct its ID", azml.ErrInvalid)
		}
	default:
		return out, fmt.Errorf("%w: mode %q: an input is %s, %s or %s", azml.ErrInvalid, in.Mode, ModeDirect, ModeDownload, ModeMount)
	}
	if in.RequireUnchanged && (d.stored == nil || d.def.Query != nil) {
		return out, fmt.Errorf("%w: nothing was noted of its data, so whether that has changed can't be told: register a dataset of files", azml.ErrInvalid)
	}
	return out, nil
}

// Ref names the dataset as Client.GetByID takes it: "name:version" when it is
// registered, else the definition's ID, which is found when it was saved.
func (d *Dataset) Ref() string { return d.label() }
