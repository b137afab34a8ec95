package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/internal/scoring"
	"github.com/azml-go/azml/model"
)

// servingExample is the request that MLflow keeps beside a model that was logged with
// an example of its input.
const servingExample = "serving_input_example.json"

// findSample gives a deployment that was given no sample request the one that its only
// model brings along. That it can't be read is no reason not to deploy.
func (c *Client) findSample(ctx context.Context, config *Config, d *record.EndpointDeployment) {
	models := config.models()
	if config.Sample != nil || len(models) != 1 {
		return
	}
	sample, err := c.sampleOf(ctx, models[0], d)
	if err != nil {
		c.h.Logger().Warn("the model's sample input is not tried", "model", models[0].ID(), "error", err)
	}
	d.Sample = sample
}

// sampleOf makes a request of the model's sample input; nil when it has none, or none
// from which a request can be told.
func (c *Client) sampleOf(ctx context.Context, m *model.Model, d *record.EndpointDeployment) ([]byte, error) {
	if id := m.Details().SampleInputDataset; id != "" {
		data, err := dataset.NewClient(c.h).GetByID(ctx, id, nil)
		switch {
		case err != nil:
			return nil, err
		case data.Type() == dataset.TypeFile:
			return onlyJSON(ctx, data)
		case d.ModelFormat == scoring.ModelMLflow || d.ModelFormat == scoring.ModelSklearn:
			return firstRow(ctx, m, data)
		}
	}
	if d.ModelFormat != scoring.ModelMLflow {
		return nil, nil
	}
	in, err := m.Open(ctx, servingExample)
	if errors.Is(err, azml.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return readSample(in)
}

// readSample reads a request.
func readSample(in io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(in, maxSample+1))
	if err == nil && len(body) > maxSample {
		err = fmt.Errorf("%w: it has more than %d bytes", azml.ErrInvalid, maxSample)
	}
	if err != nil {
		return nil, err
	}
	return body, nil
}

// onlyJSON gives the only file of JSON of a dataset as a request.
func onlyJSON(ctx context.Context, data *dataset.Dataset) ([]byte, error) {
	tree, err := data.FS(ctx)
	if err != nil {
		return nil, err
	}
	var found []string
	err = fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && path.Ext(name) == ".json" {
			found = append(found, name)
		}
		return err
	})
	if err != nil || len(found) != 1 {
		return nil, err
	}
	in, err := tree.Open(found[0])
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return readSample(in)
}

// firstRow gives the first row of a table as Azure ML's form of a request, with the
// columns that the model takes, if it says so.
func firstRow(ctx context.Context, m *model.Model, data *dataset.Dataset) ([]byte, error) {
	var columns []string
	if s := m.Details().Signature; s != nil {
		for _, f := range s.Inputs {
			if f.Name != "" && data.Columns().Index(f.Name) >= 0 {
				columns = append(columns, f.Name)
			}
		}
	}
	one, err := data.Take(1)
	if err != nil {
		return nil, err
	}
	for batch, err := range one.Batches(ctx, &dataset.BatchesOptions{Columns: columns}) {
		if err != nil {
			return nil, err
		}
		names, row := []string{}, []any{}
		for i := range batch.Columns {
			value := batch.Columns[i].Value(0)
			if f, is := value.(float64); is && (math.IsNaN(f) || math.IsInf(f, 0)) {
				value = nil
			}
			names, row = append(names, batch.Columns[i].Name), append(row, value)
		}
		return json.Marshal(map[string]any{"input_data": map[string]any{"columns": names, "data": []any{row}}})
	}
	return nil, nil
}
