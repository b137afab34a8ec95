package tensorboard

import (
	"context"
	"errors"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/tfevents"
	"github.com/azml-go/azml/run"
)

// moment gives the time of an event, zero when it has none that can be stored.
func moment(seconds float64) time.Time {
	const last = math.MaxInt64 / int64(time.Second)
	whole, part := math.Modf(seconds)
	if math.IsNaN(seconds) || math.Abs(whole) >= float64(last) {
		return time.Time{}
	}
	return time.Unix(int64(whole), int64(math.Round(part*float64(time.Second))))
}

// value logs one value, or counts why it can't be.
func (i *importer) value(ctx context.Context, v tfevents.Value, opts *run.LogOptions) error {
	if v.Plugin == "" {
		v.Plugin = i.plugins[v.Tag]
	} else if i.plugins[v.Tag] == "" {
		i.plugins[v.Tag] = v.Plugin
	}
	if v.Plugin == tfevents.PluginHParams {
		i.addParams(v.PluginData)
		return nil
	}
	if opts.Time.IsZero() {
		i.leave("values at a time that can't be stored")
		return nil
	}
	name := strings.ToValidUTF8(v.Tag, "\uFFFD")
	var err error
	switch data := v.Data.(type) {
	case float32:
		err = i.log(name, float64(data), opts)
	case tfevents.Image:
		err = i.image(ctx, name, data.Encoded, opts)
	case tfevents.Histogram:
		err = i.table(name, buckets(data), opts)
	case tfevents.Tensor:
		err = i.tensor(ctx, name, v.Plugin, data, opts)
	default:
		i.leave(foreign(v.Plugin))
	}
	if errors.Is(err, azml.ErrInvalid) { // such as a name that has had another kind of value
		i.leave("values that can't be logged under their names")
		return nil
	}
	return err
}

// foreign is the reason for which a plugin's data is left out.
func foreign(plugin string) string {
	if plugin == "" {
		return "values of an unknown form"
	}
	return "values of plugin " + plugin
}

func (i *importer) log(name string, value any, opts *run.LogOptions) error {
	return i.count(i.run.Log(name, value, opts))
}

// count counts a value that was logged.
func (i *importer) count(err error) error {
	if err == nil {
		i.done.Values++
	}
	return err
}

func (i *importer) table(name string, rows [3][]float64, opts *run.LogOptions) error {
	if len(rows[0]) == 0 {
		i.leave("empty histograms")
		return nil
	}
	return i.count(i.run.LogTable(name, map[string]any{"left": rows[0], "right": rows[1], "count": rows[2]}, opts))
}

// buckets gives the left and right ends and the counts of the buckets that have
// something in them.
func buckets(h tfevents.Histogram) (rows [3][]float64) {
	left := h.Min
	for n, right := range h.Limits {
		if right = min(right, h.Max); h.Counts[n] != 0 {
			rows = appendBucket(rows, left, right, h.Counts[n])
		}
		left = max(right, h.Min)
	}
	return rows
}

func appendBucket(rows [3][]float64, left, right, count float64) [3][]float64 {
	return [3][]float64{append(rows[0], left), append(rows[1], right), append(rows[2], count)}
}

// tensor logs a tensor by its plugin, or by its shape when it has none.
func (i *importer) tensor(ctx context.Context, name, plugin string, t tfevents.Tensor, opts *run.LogOptions) error {
	switch {
	case plugin == tfevents.PluginImages && len(t.Texts) > 2: // width, height, images
		for _, encoded := range t.Texts[2:] {
			if err := i.image(ctx, name, encoded, opts); err != nil {
				return err
			}
		}
		return nil
	case plugin == tfevents.PluginHistograms && len(t.Shape) == 2 && t.Shape[1] == 3:
		var rows [3][]float64
		for b := t.Numbers; len(b) > 0; b = b[3:] {
			if b[2] != 0 {
				rows = appendBucket(rows, b[0], b[1], b[2])
			}
		}
		return i.table(name, rows, opts)
	case plugin != "" && plugin != tfevents.PluginScalars && plugin != tfevents.PluginText, len(t.Shape) > 1 && plugin != tfevents.PluginText:
		i.leave(foreign(plugin))
		return nil
	case t.Texts != nil:
		return i.texts(name, t.Texts, opts)
	case len(t.Numbers) == 1:
		return i.log(name, t.Numbers[0], opts)
	case len(t.Numbers) == 0:
		i.leave("empty tensors")
		return nil
	}
	return i.count(i.run.LogList(name, t.Numbers, opts))
}

func (i *importer) texts(name string, texts [][]byte, opts *run.LogOptions) error {
	list := make([]string, len(texts))
	for n, text := range texts {
		if !utf8.Valid(text) {
			i.leave("texts that are not UTF-8")
			return nil
		}
		list[n] = string(text)
	}
	switch len(list) {
	case 0:
		i.leave("empty tensors")
		return nil
	case 1:
		return i.log(name, list[0], opts)
	}
	return i.count(i.run.LogList(name, list, opts))
}

// extensions are the endings of files by what they hold.
var extensions = map[string]string{"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/bmp": ".bmp", "image/webp": ".webp"}

// image logs an image as it is, by way of a file.
func (i *importer) image(ctx context.Context, name string, encoded []byte, opts *run.LogOptions) error {
	path := filepath.Join(i.scratch, "image"+extensions[http.DetectContentType(encoded)])
	if err := os.WriteFile(path, encoded, 0o600); err != nil {
		return err
	}
	defer os.Remove(path)
	return i.count(i.run.LogImageFile(ctx, name, path, opts))
}

// addParams gathers parameters; as with TensorBoard, the first value counts.
func (i *importer) addParams(pluginData []byte) {
	params, err := tfevents.ParseParams(pluginData)
	if err != nil {
		i.leave("parameters that can't be read")
	}
	for name, value := range params {
		if _, known := i.params[name]; !known {
			i.params[name] = value
		}
	}
}

// logParams sets the gathered parameters, in one write, or one by one when some
// can't be set.
func (i *importer) logParams(ctx context.Context) error {
	err := i.run.LogParams(ctx, i.params)
	if !errors.Is(err, azml.ErrInvalid) {
		return err
	}
	for name, value := range i.params {
		err := i.run.LogParam(ctx, name, value)
		if errors.Is(err, azml.ErrInvalid) {
			i.leave("parameters whose names or values can't be stored")
		} else if err != nil {
			return err
		}
	}
	return nil
}
