package endpoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/internal/pyenv"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/internal/signature"
	"github.com/azml-go/azml/model"
)

// prepareModel finds out how a model is served without a script, and keeps the
// environment that it is served in: the given one, or that which the model asks for.
func (c *Client) prepareModel(ctx context.Context, config *Config, d *record.EndpointDeployment) error {
	models := config.models()
	if len(models) != 1 {
		return fmt.Errorf("%w: without a scoring script one model is served, not %d", azml.ErrInvalid, len(models))
	}
	m := models[0]
	format, file, err := servable(ctx, m)
	if err != nil {
		return err
	}
	d.ModelFormat, d.ModelFile = format, file
	spec := config.Script.Environment
	given := spec.IsReference() || spec.Docker != (environment.Docker{}) || !reflect.ValueOf(spec.Python).IsZero()
	if format == FormatONNX {
		return checkInProcess(config, given)
	}
	if config.MaxConcurrent > 1 {
		return errOneAtOnce
	}
	d.MaxConcurrent = 1
	if !given {
		if spec.Python, err = needs(ctx, m, format); err != nil {
			return fmt.Errorf("the environment of model %s: %w", m.ID(), err)
		}
	}
	d.Environment, err = c.environment(ctx, spec)
	return err
}

// checkInProcess tells what does not go with a model that a Runtime runs.
func checkInProcess(config *Config, environment bool) error {
	switch {
	case environment || len(config.Script.Variables) > 0 || config.Script.Source != "":
		return fmt.Errorf("%w: an ONNX model runs in the serving process: it has no environment, variables or source folder", azml.ErrInvalid)
	case config.Replicas > 1 || config.Scaling != nil:
		return fmt.Errorf("%w: an ONNX model runs in the serving process: raise MaxConcurrent instead of Replicas and Scaling", azml.ErrInvalid)
	case config.MaxMemory > 0:
		return fmt.Errorf("%w: an ONNX model runs in the serving process, and has the memory of that", azml.ErrInvalid)
	}
	return nil
}

// frameworkSklearn is the framework, by Azure ML's name, whose models are served
// from a pickle.
const frameworkSklearn = "ScikitLearn"

// servable tells what a model is that needs no script. Errors: ErrInvalid when it
// needs one.
func servable(ctx context.Context, m *model.Model) (format, file string, err error) {
	files, err := m.Files(ctx)
	if err != nil {
		return "", "", err
	}
	var pickles, onnx []string
	for _, f := range files {
		if f.Path == signature.File {
			return scoring.ModelMLflow, "", nil
		}
		if slices.Contains([]string{".pkl", ".pickle", ".joblib"}, path.Ext(f.Path)) {
			pickles = append(pickles, f.Path)
		}
		if path.Ext(f.Path) == "."+FormatONNX {
			onnx = append(onnx, f.Path)
		}
	}
	if len(onnx) == 1 {
		return FormatONNX, onnx[0], nil
	}
	if m.Details().Framework == frameworkSklearn && len(pickles) == 1 {
		return scoring.ModelSklearn, pickles[0], nil
	}
	return "", "", fmt.Errorf("%w: model %s needs a scoring script: without one, models of MLflow's are served (with a file %s), and those of the framework %s with one file .pkl, .pickle or .joblib, and those with one file .onnx",
		azml.ErrInvalid, m.ID(), signature.File, frameworkSklearn)
}

// needs gives the environment that a model asks for.
func needs(ctx context.Context, m *model.Model, format string) (environment.Python, error) {
	if format == scoring.ModelSklearn {
		sklearn := "scikit-learn"
		if version := m.Details().FrameworkVersion; version != "" {
			sklearn += "==" + version
		}
		return environment.Python{Pip: []string{sklearn, "pandas"}}, nil
	}
	dir, err := os.MkdirTemp("", "azml-model-")
	if err != nil {
		return environment.Python{}, err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{signature.File, requirementsFile, "constraints.txt", condaFile} {
		if err := fetchSmall(ctx, m, name, dir); err != nil && !errors.Is(err, azml.ErrNotFound) {
			return environment.Python{}, err
		}
	}
	return mlflowNeeds(dir)
}

// The files in which MLflow keeps what a model needs.
const (
	requirementsFile = "requirements.txt"
	condaFile        = "conda.yaml"
)

// mlflowNeeds reads the environment of a model of MLflow's from its files in a
// folder. Of the version of Python it keeps the minor one: the bytes of a pickle
// depend on that, and machines seldom have another machine's patch.
func mlflowNeeds(dir string) (environment.Python, error) {
	var about struct {
		Flavors struct {
			Function *struct {
				Python string `yaml:"python_version"`
			} `yaml:"python_function"`
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, signature.File))
	if err == nil {
		err = yaml.Unmarshal(data, &about)
	}
	if err != nil {
		return environment.Python{}, fmt.Errorf("%w: %s: %w", azml.ErrInvalid, signature.File, err)
	}
	if about.Flavors.Function == nil {
		return environment.Python{}, fmt.Errorf("%w: the model has no flavor python_function: it needs a scoring script", azml.ErrInvalid)
	}
	spec, err := listedNeeds(dir)
	if err != nil {
		return environment.Python{}, err
	}
	parts := strings.SplitN(cmp.Or(about.Flavors.Function.Python, spec.PythonVersion), ".", 3)
	spec.PythonVersion = strings.Join(parts[:min(len(parts), 2)], ".")
	return environment.Python(spec), nil
}

// listedNeeds reads the list of packages.
func listedNeeds(dir string) (spec pyenv.Spec, err error) {
	data, err := os.ReadFile(filepath.Join(dir, requirementsFile))
	if err == nil {
		return pyenv.ParseRequirements(data, dir)
	}
	if data, err = os.ReadFile(filepath.Join(dir, condaFile)); err == nil {
		_, spec, err = pyenv.ParseConda(data, dir)
		return spec, err
	}
	return spec, fmt.Errorf("%w: it has neither %s nor %s: name an environment", azml.ErrInvalid, requirementsFile, condaFile)
}

// fetchSmall copies a file of the model that is no larger than such files are.
func fetchSmall(ctx context.Context, m *model.Model, name, dir string) error {
	in, err := m.Open(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close()
	const most = 1 << 20
	data, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), data, 0o600)
}
