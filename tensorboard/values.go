package tensorboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/gif" // for the sizes of images
	_ "image/jpeg"
	_ "image/png"
	"io"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/tfevents"
	"github.com/azml-go/azml/run"
)

// maxFile is the largest file of an image or a chart that is exported.
const maxFile = 64 << 20

// values gives what TensorBoard shows of a logged value; when it has no form
// for it, the reason.
func (x *exporter) values(ctx context.Context, m run.Metric) (_ []value, reason string, err error) {
	switch m.Kind {
	case run.MetricScalar:
		values, reason := scalarValues(m)
		return values, reason, nil
	case run.MetricList:
		return listValues(m), "", nil
	case run.MetricTable:
		return tableValues(m), "", nil
	}
	data, err := x.read(ctx, m)
	if errors.Is(err, azml.ErrNotFound) || errors.Is(err, azml.ErrDamaged) || errors.Is(err, azml.ErrInvalid) {
		return nil, string(m.Kind) + " whose file can't be read", nil
	}
	if err != nil {
		return nil, "", err
	}
	if m.Kind == run.MetricImage {
		return []value{imageValue(m.Name, data)}, "", nil
	}
	values, err := chartValues(m, data)
	if err != nil {
		return nil, string(m.Kind) + " whose file can't be read", nil //nolint:nilerr // the reason says it
	}
	return values, "", nil
}

// read reads the run's file that a value is in.
func (x *exporter) read(ctx context.Context, m run.Metric) ([]byte, error) {
	name, _ := m.Value.(string)
	file, err := x.run.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%w: %s is larger than %d bytes", azml.ErrInvalid, name, maxFile)
	}
	return data, err
}

func scalarValues(m run.Metric) (_ []value, reason string) {
	if text, ok := m.Value.(string); ok {
		return []value{textValue(m.Name, text)}, ""
	}
	n, ok := number(m.Value)
	if !ok {
		return nil, "values that are nothing"
	}
	return []value{scalarValue(m.Name, n, false)}, ""
}

// number gives a number or bool as a number.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// numbers gives the elements as numbers, nil when one is none.
func numbers(elements []any) []float64 {
	out := make([]float64, len(elements))
	for i, e := range elements {
		n, ok := number(e)
		if !ok {
			return nil
		}
		out[i] = n
	}
	return out
}

// listValues makes a list of numbers a curve over its elements, which goes on
// with the next list of that name.
func listValues(m run.Metric) []value {
	list, _ := m.Value.([]any)
	if values := numbers(list); values != nil {
		return curve(m.Name, values)
	}
	lines := make([]string, len(list))
	for i, e := range list {
		lines[i] = "- " + cell(e)
	}
	return []value{textValue(m.Name, strings.Join(lines, "\n"))}
}

// tableValues makes each column of numbers a curve over the rows, and a table
// with other columns a text, too.
func tableValues(m run.Metric) []value {
	columns, _ := m.Value.([]run.Column)
	var out []value
	texts := false
	for _, c := range columns {
		if values := numbers(c.Values); values != nil {
			out = append(out, curve(m.Name+"/"+c.Name, values)...)
		} else {
			texts = true
		}
	}
	if texts {
		out = append(out, textValue(m.Name, markdown(columns)))
	}
	return out
}

// curve gives values that follow one another; a single one keeps its step.
func curve(tag string, values []float64) []value {
	out := make([]value, len(values))
	for i, v := range values {
		out[i] = scalarValue(tag, v, len(values) > 1)
	}
	return out
}

func scalarValue(tag string, v float64, count bool) value {
	return value{tag: tag, class: tfevents.PluginScalars, count: count, Value: tfevents.Value{Data: float32(v)}}
}

func textValue(tag, text string) value {
	return value{tag: tag, class: tfevents.PluginText, Value: tfevents.Value{Plugin: tfevents.PluginText,
		Data: tfevents.Tensor{Texts: [][]byte{[]byte(text)}}}}
}

func imageValue(tag string, data []byte) value {
	size, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		size = image.Config{} // a browser may know the format
	}
	return value{tag: tag, class: tfevents.PluginImages,
		Value: tfevents.Value{Data: tfevents.Image{Width: size.Width, Height: size.Height, Encoded: data}}}
}

// classOf gives the plugin that draws a value which Export has written.
func classOf(v tfevents.Value) string {
	switch v.Data.(type) {
	case float32:
		return tfevents.PluginScalars
	case tfevents.Image:
		return tfevents.PluginImages
	case tfevents.Histogram:
		return tfevents.PluginHistograms
	}
	return v.Plugin
}

// markdown gives a table as Markdown.
func markdown(columns []run.Column) string {
	var b strings.Builder
	line := func(cells func(c run.Column) string) {
		for _, c := range columns {
			b.WriteString("| " + cells(c) + " ")
		}
		b.WriteString("|\n")
	}
	line(func(c run.Column) string { return cell(c.Name) })
	line(func(run.Column) string { return "---" })
	for row := range columns[0].Values {
		line(func(c run.Column) string { return cell(c.Values[row]) })
	}
	return b.String()
}

// cell gives a value as text that Markdown takes as it is.
func cell(v any) string {
	if v == nil {
		return ""
	}
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "\n", " ", "\r", " ", "*", `\*`, "_", `\_`, "`", "\\`").Replace(fmt.Sprint(v))
}

// chartValues gives what TensorBoard shows of a chart.
func chartValues(m run.Metric, data []byte) ([]value, error) {
	switch m.Kind {
	case run.MetricConfusionMatrix:
		return chart(data, func(c run.ConfusionMatrix) []value {
			return []value{textValue(m.Name, markdown(confusionTable(c)))}
		})
	case run.MetricAccuracyTable:
		return chart(data, func(t run.AccuracyTable) []value { return precisionCurves(m.Name, t) })
	case run.MetricResiduals:
		return chart(data, func(r run.Residuals) []value { return histogramValues(m.Name, r) })
	case run.MetricPredictions:
		return chart(data, func(p run.Predictions) []value {
			return []value{textValue(m.Name, markdown(predictionsTable(p)))}
		})
	}
	return nil, fmt.Errorf("%w: kind %q", azml.ErrUnsupported, m.Kind)
}

// chart reads the file of a chart, see run.Run.LogConfusionMatrix and its
// siblings.
func chart[T any](file []byte, values func(T) []value) ([]value, error) {
	var c struct{ Data T }
	if err := json.Unmarshal(file, &c); err != nil {
		return nil, err
	}
	return values(c.Data), nil
}
