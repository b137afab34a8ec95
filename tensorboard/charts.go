package tensorboard

import (
	"github.com/azml-go/azml/internal/tfevents"
	"github.com/azml-go/azml/run"
)

// confusionTable has a row per true class and a column per predicted class.
func confusionTable(c run.ConfusionMatrix) []run.Column {
	columns := []run.Column{{Name: "true, predicted"}}
	for i, label := range c.ClassLabels {
		columns[0].Values = append(columns[0].Values, label)
		column := run.Column{Name: label}
		for _, row := range c.Matrix {
			if i < len(row) {
				column.Values = append(column.Values, row[i])
			}
		}
		columns = append(columns, column)
	}
	return square(columns)
}

func predictionsTable(p run.Predictions) []run.Column {
	columns := []run.Column{{Name: "from"}, {Name: "to"}, {Name: "average"}, {Name: "error"}, {Name: "count"}}
	for i := range min(len(p.BinAverages), len(p.BinErrors), len(p.BinCounts), len(p.BinEdges)-1) {
		for c, v := range []any{p.BinEdges[i], p.BinEdges[i+1], p.BinAverages[i], p.BinErrors[i], p.BinCounts[i]} {
			columns[c].Values = append(columns[c].Values, v)
		}
	}
	return columns
}

// square cuts the columns to equal length: a file may have been written by
// something else.
func square(columns []run.Column) []run.Column {
	rows := len(columns[0].Values)
	for _, c := range columns {
		rows = min(rows, len(c.Values))
	}
	for i := range columns {
		columns[i].Values = columns[i].Values[:rows]
	}
	return columns
}

// histogramValues gives the histogram of the residuals. Its sums are those of
// the middles of the bins.
func histogramValues(tag string, r run.Residuals) []value {
	bins := min(len(r.BinCounts), len(r.BinEdges)-1)
	if bins < 1 {
		return nil
	}
	h := tfevents.Histogram{Min: r.BinEdges[0], Max: r.BinEdges[bins], Limits: r.BinEdges[1 : bins+1]}
	for i, n := range r.BinCounts[:bins] {
		count, middle := float64(n), (r.BinEdges[i]+r.BinEdges[i+1])/2
		h.Counts = append(h.Counts, count)
		h.Num += count
		h.Sum += count * middle
		h.SumSquares += count * middle * middle
	}
	return []value{{tag: tag, class: tfevents.PluginHistograms, Value: tfevents.Value{Data: h}}}
}

// precisionCurves gives a precision-recall curve per class: rows of TP, FP, TN,
// FN, precision and recall, a column per threshold.
func precisionCurves(name string, t run.AccuracyTable) []value {
	const rows = 6
	var out []value
	for class, table := range t.ProbabilityTables {
		n := len(table)
		if class >= len(t.ClassLabels) || n == 0 {
			continue
		}
		data := make([]float64, rows*n)
		for i, counts := range table {
			for row, count := range counts {
				data[row*n+i] = float64(count)
			}
			tp, fp, fn := float64(counts[0]), float64(counts[1]), float64(counts[3])
			data[4*n+i], data[5*n+i] = share(tp, tp+fp), share(tp, tp+fn)
		}
		out = append(out, value{tag: name + "/" + t.ClassLabels[class], class: tfevents.PluginCurves, Value: tfevents.Value{
			Plugin:     tfevents.PluginCurves,
			PluginData: tfevents.CurvesData(n),
			Data:       tfevents.Tensor{Shape: []int64{rows, int64(n)}, Numbers: data},
		}})
	}
	return out
}

// share is part/whole, 0 of nothing as TensorBoard has it.
func share(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}
