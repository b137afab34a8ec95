package tensorboard

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"crypto/sha256"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/azml-go/azml/internal/tfevents"
	"github.com/azml-go/azml/run"
)

// The tags of the HPARAMS tab. What it knows of a run is in the plugin data of
// these tags, of which TensorBoard keeps the first it sees.
const (
	tagSessionStart = "_hparams_/session_start_info"
	tagSessionEnd   = "_hparams_/session_end_info"
)

// The numbers of the fields of HParamsPluginData and what is in it.
const (
	hparamsStart, hparamsEnd            = 3, 4
	startParams, startGroup, startTime  = 1, 4, 5
	entryKey, entryValue                = 1, 2
	protoNumber, protoString, protoBool = 2, 3, 4
	endStatus, endTime                  = 1, 2
	statusSuccess, statusFailure        = 1, 2
)

// hparamsName is where the parameters are: before the other files by name,
// since TensorBoard's slower reader never goes back.
const hparamsName = filePrefix + "0000000000.azml.hparams-"

// hparamsEvents gives a file with the run's parameters and, when it has ended,
// how.
func hparamsEvents(d run.Details) []byte {
	begun := d.Created
	if !d.Started.IsZero() {
		begun = d.Started
	}
	start := appendMessage(nil, hparamsStart, func(to []byte) []byte {
		for _, name := range slices.Sorted(maps.Keys(d.Params)) {
			to = appendMessage(to, startParams, func(to []byte) []byte {
				to = appendText(to, entryKey, name)
				return appendMessage(to, entryValue, func(to []byte) []byte { return appendParam(to, d.Params[name]) })
			})
		}
		to = appendText(to, startGroup, d.RunID)
		return appendDouble(to, startTime, seconds(begun))
	})
	out := appendEvent(nil, tfevents.Event{WallTime: seconds(d.Created), FileVersion: tfevents.FileVersion})
	out = appendEvent(out, hparamsEvent(begun, tagSessionStart, start))
	if !d.Status.Terminal() {
		return out
	}
	status := uint64(statusFailure)
	if d.Status == run.StatusCompleted {
		status = statusSuccess
	}
	end := appendMessage(nil, hparamsEnd, func(to []byte) []byte {
		to = protowire.AppendVarint(protowire.AppendTag(to, endStatus, protowire.VarintType), status)
		return appendDouble(to, endTime, seconds(d.Ended))
	})
	return appendEvent(out, hparamsEvent(d.Ended, tagSessionEnd, end))
}

func hparamsEvent(at time.Time, tag string, data []byte) tfevents.Event {
	return tfevents.Event{WallTime: seconds(at), Values: []tfevents.Value{{Tag: tag, Plugin: tfevents.PluginHParams, PluginData: data,
		Data: tfevents.Tensor{Shape: []int64{0}}}}}
}

// appendParam appends a parameter as the number or bool that its text is, else
// as text, so that TensorBoard gives it an axis.
func appendParam(to []byte, text string) []byte {
	if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) && !math.IsInf(v, 0) {
		return appendDouble(to, protoNumber, v)
	}
	switch text {
	case "true", "True":
		return protowire.AppendVarint(protowire.AppendTag(to, protoBool, protowire.VarintType), 1)
	case "false", "False":
		return protowire.AppendVarint(protowire.AppendTag(to, protoBool, protowire.VarintType), 0)
	}
	return appendText(to, protoString, text)
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

func appendEvent(to []byte, e tfevents.Event) []byte { return tfevents.AppendRecord(to, e.Append(nil)) }

func appendMessage(to []byte, field protowire.Number, body func([]byte) []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), body(nil))
}

func appendText(to []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(to, field, protowire.BytesType), text)
}

func appendDouble(to []byte, field protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(to, field, protowire.Fixed64Type), math.Float64bits(v))
}
