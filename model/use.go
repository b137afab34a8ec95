package model

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/signature"
)

// DatasetReference names a version of a dataset and what it was to a model.
type DatasetReference struct {
	// Relation is what it was, such as "training".
	Relation string `json:"relation"`
	// Dataset is "name:version".
	Dataset string `json:"dataset"`
}

// Resources are what a replica that serves a model should have. Zero says nothing.
type Resources struct {
	// CPU is the number of processors, which may be a fraction.
	CPU float64 `json:"cpu,omitempty"`
	// MemoryGB is in units of 1,000,000,000 bytes.
	MemoryGB float64 `json:"memoryInGB,omitempty"`
	// GPU is the number of accelerators.
	GPU int `json:"gpu,omitempty"`
}

// Signature says what a model takes and gives.
type Signature struct {
	// Inputs are the columns of a table, or tensors.
	Inputs []Field `json:"inputs,omitempty"`
	// Outputs are the columns or tensors of the answer.
	Outputs []Field `json:"outputs,omitempty"`
}

// Field is one column or tensor of a Signature.
type Field struct {
	// Name is its name; empty for the only tensor, or for columns that are known
	// by their places.
	Name string `json:"name,omitempty"`
	// Type is the type of a value. Columns have MLflow's: boolean, integer (of 32
	// bits), long, float, double, string, binary (as text in base64), datetime, and
	// "any" for what is not checked. Tensors have NumPy's, such as "float32".
	Type string `json:"type"`
	// Shape is a tensor's, with -1 for any length; nil for a column.
	Shape []int `json:"shape,omitempty"`
	// Optional says that it can be missing.
	Optional bool `json:"optional,omitempty"`
}

// ParseSignature reads a signature of JSON: an object with the lists "inputs" and
// "outputs" as MLflow writes them, {"inputs": [{"name": "x", "type": "double"}]}
// for example. Errors: ErrInvalid.
func ParseSignature(data []byte) (*Signature, error) {
	s, err := signature.Parse(data)
	if err != nil {
		return nil, err
	}
	return signatureOf(s), nil
}

// CheckInput holds a request's body, which is JSON, against the inputs. It knows
// the forms in which tables and tensors are usually sent (docs/models.md); a body
// of any other form passes. Errors: ErrInvalid naming row and column.
func (s *Signature) CheckInput(body []byte) error { return signature.Check(s.record().Inputs, body) }

// CheckOutput does so for an answer and the outputs.
func (s *Signature) CheckOutput(body []byte) error { return signature.Check(s.record().Outputs, body) }

func signatureOf(s *record.Signature) *Signature {
	if s == nil {
		return nil
	}
	fields := func(list []record.SignatureField) (out []Field) {
		for _, f := range list {
			f.Shape = slices.Clone(f.Shape)
			out = append(out, Field(f))
		}
		return out
	}
	return &Signature{Inputs: fields(s.Inputs), Outputs: fields(s.Outputs)}
}

func (s *Signature) record() *record.Signature {
	if s == nil {
		return nil
	}
	fields := func(list []Field) (out []record.SignatureField) {
		for _, f := range list {
			f.Shape = slices.Clone(f.Shape)
			out = append(out, record.SignatureField(f))
		}
		return out
	}
	return &record.Signature{Inputs: fields(s.Inputs), Outputs: fields(s.Outputs)}
}

// checkUse tells what is wrong with what the options say of a model's use.
func (o *RegisterOptions) checkUse() error {
	for name, value := range map[string]float64{"CPU": o.Resources.CPU, "MemoryGB": o.Resources.MemoryGB, "GPU": float64(o.Resources.GPU)} {
		if value < 0 || math.IsNaN(value) || math.IsInf(value, 0) {
			return fmt.Errorf("%w: Resources.%s is %v", azml.ErrInvalid, name, value)
		}
	}
	for _, d := range o.Datasets {
		if d.Relation == "" {
			return fmt.Errorf("%w: dataset %q: say what it was to the model, such as \"training\"", azml.ErrInvalid, d.Dataset)
		}
		if err := core.CheckText("relation", d.Relation); err != nil {
			return err
		}
	}
	if _, err := checkChildren(o.ChildPaths); err != nil {
		return err
	}
	if o.Signature == nil {
		return nil
	}
	return signature.Validate(o.Signature.record())
}

// fillUse puts what the options say of a model's use into its record.
func (o *RegisterOptions) fillUse(m *record.Model) {
	for _, d := range o.Datasets {
		m.Datasets = append(m.Datasets, record.DatasetReference(d))
	}
	m.SampleInput, m.SampleOutput = o.SampleInputDataset, o.SampleOutputDataset
	m.Resources = record.ModelResources(o.Resources)
	m.Signature = o.Signature.record()
}

// checkDatasets looks for the versions of datasets that the options name.
func checkDatasets(ctx context.Context, h core.Handle, o *RegisterOptions) error {
	var named []string
	for _, d := range o.Datasets {
		named = append(named, d.Dataset)
	}
	for _, sample := range []string{o.SampleInputDataset, o.SampleOutputDataset} {
		if sample != "" {
			named = append(named, sample)
		}
	}
	for _, id := range named {
		if err := checkDataset(ctx, h, id); err != nil {
			return err
		}
	}
	return nil
}

func checkDataset(ctx context.Context, h core.Handle, id string) error {
	name, number, _ := strings.Cut(id, ":")
	if err := core.DatasetName.Check(name); err != nil {
		return err
	}
	version, err := strconv.Atoi(number)
	if err != nil || version < 1 {
		return fmt.Errorf("%w: dataset %q: write name:version", azml.ErrInvalid, id)
	}
	stored, err := core.Get[record.Dataset](ctx, h, core.DatasetVersions(name).Key(version))
	if err == nil && !stored.Value.Deleted.IsZero() {
		err = fmt.Errorf("%w: it was deleted", azml.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("dataset %q: %w", id, err)
	}
	return nil
}
