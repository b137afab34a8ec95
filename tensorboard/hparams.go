package tensorboard

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/azml-go/azml/internal/tfevents"
	"github.com/azml-go/azml/run"
)

// hparamsName is where the parameters are: before the other files by name,
// since TensorBoard's slower reader never goes back.
const hparamsName = filePrefix + "0000000000.azml.hparams-"

// hparamsFile gives a file with the run's parameters and, when it has ended,
// how. The HPARAMS tab shows the run under its folder's name, as the others do.
func hparamsFile(folder string, d run.Details) []byte {
	begun := d.Created
	if !d.Started.IsZero() {
		begun = d.Started
	}
	start := tfevents.SessionStart{Params: map[string]any{}, Group: folder, Time: seconds(begun)}
	for name, text := range d.Params {
		start.Params[name] = param(text)
	}
	events := []tfevents.Event{
		{WallTime: seconds(d.Created), FileVersion: tfevents.FileVersion},
		{WallTime: seconds(begun), Values: []tfevents.Value{start.Value()}},
	}
	if d.Status.Terminal() {
		end := tfevents.SessionEnd{Success: d.Status == run.StatusCompleted, Time: seconds(d.Ended)}
		events = append(events, tfevents.Event{WallTime: end.Time, Values: []tfevents.Value{end.Value()}})
	}
	var out []byte
	for _, e := range events {
		out = tfevents.AppendRecord(out, e.Append(nil))
	}
	return out
}

// param gives a parameter as the number or bool that its text is, else as
// text, so that TensorBoard gives it an axis.
func param(text string) any {
	if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
		return v
	}
	switch text {
	case "true", "True":
		return true
	case "false", "False":
		return false
	}
	return text
}

// replaceHParams makes data the only file with parameters in the folder. It
// has another name than the one before, so that a TensorBoard reads it.
func replaceHParams(dir string, data []byte) error {
	sum := sha256.Sum256(data)
	path := filepath.Join(dir, hparamsName+hex.EncodeToString(sum[:4]))
	if _, err := os.Stat(path); err != nil {
		temp := filepath.Join(dir, ".hparams.tmp")
		if err := os.WriteFile(temp, data, 0o644); err != nil {
			return err
		}
		if err := os.Rename(temp, path); err != nil {
			return err
		}
	}
	old, err := filepath.Glob(filepath.Join(escapeGlob(dir), hparamsName+"*"))
	if err != nil {
		return err
	}
	for _, other := range old {
		if other != path {
			if err := os.Remove(other); err != nil {
				return fmt.Errorf("replace parameters: %w", err)
			}
		}
	}
	return nil
}
