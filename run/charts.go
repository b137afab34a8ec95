package run

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/metrics"
)

// The charts of Azure ML: a value that is stored as a JSON file of the run,
// with a schema by name and version.

// ConfusionMatrix counts how often each class was taken for each.
type ConfusionMatrix struct {
	// ClassLabels names the classes.
	ClassLabels []string `json:"class_labels"`
	// Matrix has a row per true class and a column per predicted class.
	Matrix [][]int `json:"matrix"`
}

// AccuracyTable holds, per class and threshold, what ROC and precision-recall
// curves are drawn from.
type AccuracyTable struct {
	// ProbabilityTables are counts at ProbabilityThresholds: per class, per
	// threshold, TP, FP, TN, FN.
	ProbabilityTables [][][4]int `json:"probability_tables"`
	// PercentileTables are counts at PercentileThresholds, in the same form.
	PercentileTables [][][4]int `json:"percentile_tables"`
	// ProbabilityThresholds are probabilities from 0 to 1.
	ProbabilityThresholds []float64 `json:"probability_thresholds"`
	// PercentileThresholds are percentiles as fractions from 0 to 1.
	PercentileThresholds []float64 `json:"percentile_thresholds"`
	// ClassLabels names the classes.
	ClassLabels []string `json:"class_labels"`
}

// Residuals is a histogram of prediction errors.
type Residuals struct {
	// BinEdges are the borders of the bins, one more than there are bins.
	BinEdges []float64 `json:"bin_edges"`
	// BinCounts are the numbers of errors in each bin.
	BinCounts []int `json:"bin_counts"`
}

// Predictions compares true and predicted values, gathered in bins of the true
// value.
type Predictions struct {
	// BinAverages are the average predictions of the bins.
	BinAverages []float64 `json:"bin_averages"`
	// BinErrors are the standard deviations of the predictions of the bins.
	BinErrors []float64 `json:"bin_errors"`
	// BinCounts are the numbers of values in each bin.
	BinCounts []int `json:"bin_counts"`
	// BinEdges are the borders of the bins, one more than there are bins.
	BinEdges []float64 `json:"bin_edges"`
}

// LogConfusionMatrix logs a confusion matrix (schema confusion_matrix 1.0.0).
// It stores one file of the run. Errors: ErrInvalid when the matrix is not
// square with a label per class.
func (r *Run) LogConfusionMatrix(ctx context.Context, name string, m ConfusionMatrix, opts *LogOptions) error {
	bad := len(m.Matrix) != len(m.ClassLabels) || len(m.Matrix) == 0
	for _, row := range m.Matrix {
		bad = bad || len(row) != len(m.ClassLabels)
	}
	if bad {
		return r.logError(name, fmt.Errorf("%w: confusion matrix: give a square matrix with one label per class", azml.ErrInvalid))
	}
	return r.logChart(ctx, name, metrics.KindConfusionMatrix, "1.0.0", m, opts)
}

// LogAccuracyTable logs an accuracy table (schema accuracy_table 1.0.1). It
// stores one file of the run. Errors: ErrInvalid when a table does not have a
// list per class with four counts per threshold.
func (r *Run) LogAccuracyTable(ctx context.Context, name string, t AccuracyTable, opts *LogOptions) error {
	bad := len(t.ClassLabels) == 0 || !fits(t.ProbabilityTables, t.ClassLabels, t.ProbabilityThresholds) ||
		!fits(t.PercentileTables, t.ClassLabels, t.PercentileThresholds)
	if bad {
		return r.logError(name, fmt.Errorf("%w: accuracy table: give a list per class, with TP, FP, TN and FN per threshold", azml.ErrInvalid))
	}
	return r.logChart(ctx, name, metrics.KindAccuracyTable, "1.0.1", t, opts)
}

func fits(tables [][][4]int, classes []string, thresholds []float64) bool {
	for _, table := range tables {
		if len(table) != len(thresholds) {
			return false
		}
	}
	return len(tables) == len(classes)
}

// LogResiduals logs a histogram of residuals (schema residuals 1.0.0). It
// stores one file of the run. Errors: ErrInvalid when there is not one edge
// more than counts.
func (r *Run) LogResiduals(ctx context.Context, name string, v Residuals, opts *LogOptions) error {
	if len(v.BinCounts) == 0 || len(v.BinEdges) != len(v.BinCounts)+1 {
		return r.logError(name, fmt.Errorf("%w: residuals: give one bin edge more than bin counts", azml.ErrInvalid))
	}
	return r.logChart(ctx, name, metrics.KindResiduals, "1.0.0", v, opts)
}

// LogPredictions logs predictions against true values (schema predictions
// 1.0.0). It stores one file of the run. Errors: ErrInvalid when the lists
// don't fit.
func (r *Run) LogPredictions(ctx context.Context, name string, v Predictions, opts *LogOptions) error {
	n := len(v.BinCounts)
	if n == 0 || len(v.BinAverages) != n || len(v.BinErrors) != n || len(v.BinEdges) != n+1 {
		return r.logError(name, fmt.Errorf("%w: predictions: give averages, errors and counts of equal length and one edge more", azml.ErrInvalid))
	}
	return r.logChart(ctx, name, metrics.KindPredictions, "1.0.0", v, opts)
}

func (r *Run) logChart(ctx context.Context, name string, k metrics.Kind, version string, data any, opts *LogOptions) error {
	content, err := json.Marshal(map[string]any{"schema_type": string(k), "schema_version": version, "data": data})
	if err != nil {
		return r.logError(name, fmt.Errorf("%w: %s: NaN and infinite numbers can't be stored: %w", azml.ErrInvalid, k, err))
	}
	return r.logArtifact(ctx, name, k, ".json", content, opts)
}

// LogImage logs an image; it is stored as a PNG file of the run. Errors: as
// Log, ErrInvalid for an image without pixels.
func (r *Run) LogImage(ctx context.Context, name string, img image.Image, opts *LogOptions) error {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return r.logError(name, fmt.Errorf("%w: image: %w", azml.ErrInvalid, err))
	}
	return r.logArtifact(ctx, name, metrics.KindImage, ".png", b.Bytes(), opts)
}

// LogImageFile logs an image file of this machine; its content must really be
// an image. It is stored as a file of the run. Errors: as Log, ErrNotFound,
// ErrInvalid.
func (r *Run) LogImageFile(ctx context.Context, name, path string, opts *LogOptions) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return r.logError(name, err)
	}
	if err := history.CheckImage(data); err != nil {
		return r.logError(name, fmt.Errorf("%s: %w", path, err))
	}
	return r.logArtifact(ctx, name, metrics.KindImage, filepath.Ext(path), data, opts)
}

// logArtifact stores the file first, so that no logged value is without it.
func (r *Run) logArtifact(ctx context.Context, name string, k metrics.Kind, ext string, data []byte, opts *LogOptions) (err error) {
	defer r.h.Operation(&ctx, &err, "log metric of", kind, r.id+"/"+name)()
	if status := r.Status(); status.Terminal() {
		return fmt.Errorf("%w: the run is %s and takes no more", azml.ErrClosed, status)
	}
	if _, err := r.writer(); err != nil {
		return err
	}
	folder := "charts"
	if k == metrics.KindImage {
		folder = "images"
	}
	path, err := history.StoreArtifact(ctx, r.h, r.record(), history.ArtifactPath(folder, name, ext), data)
	if err != nil {
		return err
	}
	return r.appendValue(name, k, opts, func() (any, error) { return path, nil })
}
