package tfevents

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The tags of the HPARAMS tab. What it knows of a run is in the plugin data of
// these tags, of which TensorBoard keeps the first it sees.
const (
	// TagSessionStart is the tag of a SessionStart.
	TagSessionStart = "_hparams_/session_start_info"
	// TagSessionEnd is the tag of a SessionEnd.
	TagSessionEnd = "_hparams_/session_end_info"
)

// The numbers of the fields of HParamsPluginData and of what is in it.
const (
	hparamsStart, hparamsEnd            = 3, 4
	startParams, startGroup, startTime  = 1, 4, 5
	entryKey, entryValue                = 1, 2
	protoNumber, protoString, protoBool = 2, 3, 4
	endStatus, endTime                  = 1, 2
	statusSuccess, statusFailure        = 1, 2
)

// SessionStart says with what parameters a run began.
type SessionStart struct {
	// Params are the parameters, each a float64, string or bool.
	Params map[string]any
	// Group gathers runs that differ in nothing but chance.
	Group string
	// Time is when it began, in seconds since 1970.
	Time float64
}

// Value gives the value that stores it.
func (s SessionStart) Value() Value {
	data := appendMessage(nil, hparamsStart, func(to []byte) []byte {
		for _, name := range slices.Sorted(maps.Keys(s.Params)) {
			to = appendMessage(to, startParams, func(to []byte) []byte {
				to = appendBytes(to, entryKey, []byte(name))
				return appendMessage(to, entryValue, func(to []byte) []byte { return appendParam(to, s.Params[name]) })
			})
		}
		to = appendBytes(to, startGroup, []byte(s.Group))
		return appendDouble(to, startTime, s.Time)
	})
	return hparamsValue(TagSessionStart, data)
}

func appendParam(to []byte, value any) []byte {
	switch v := value.(type) {
	case float64:
		return appendDouble(to, protoNumber, v)
	case bool:
		return appendInt(to, protoBool, int64(protowire.EncodeBool(v)))
	case string:
		return appendBytes(to, protoString, []byte(v))
	}
	return to
}

// SessionEnd says how a run ended.
type SessionEnd struct {
	// Success tells whether it ended well.
	Success bool
	// Time is when it ended, in seconds since 1970.
	Time float64
}

// Value gives the value that stores it.
func (s SessionEnd) Value() Value {
	status := int64(statusFailure)
	if s.Success {
		status = statusSuccess
	}
	data := appendMessage(nil, hparamsEnd, func(to []byte) []byte {
		return appendDouble(appendInt(to, endStatus, status), endTime, s.Time)
	})
	return hparamsValue(TagSessionEnd, data)
}

func hparamsValue(tag string, data []byte) Value {
	return Value{Tag: tag, Plugin: PluginHParams, PluginData: data, Data: Tensor{Shape: []int64{0}}}
}

// ParseParams gives the parameters that plugin data of the HPARAMS tab holds,
// none for data about anything else. Errors: ErrDamaged.
func ParseParams(pluginData []byte) (map[string]any, error) {
	params := map[string]any{}
	err := inside(pluginData, hparamsStart, func(start []byte) error {
		return inside(start, startParams, func(entry []byte) error {
			var name string
			var value any
			err := fields(entry, func(f field) error {
				if f.is(entryKey, protowire.BytesType) {
					name = string(f.data)
				}
				if f.is(entryValue, protowire.BytesType) {
					return fields(f.data, func(f field) error {
						value = param(f)
						return nil
					})
				}
				return nil
			})
			if value != nil {
				params[name] = value
			}
			return err
		})
	})
	return params, err
}

func param(f field) any {
	switch {
	case f.is(protoNumber, protowire.Fixed64Type):
		return f.double()
	case f.is(protoString, protowire.BytesType):
		return string(f.data)
	case f.is(protoBool, protowire.VarintType):
		return f.bits != 0
	}
	return nil
}

// inside calls visit for each message in a field of a message.
func inside(message []byte, num protowire.Number, visit func([]byte) error) error {
	return fields(message, func(f field) error {
		if !f.is(num, protowire.BytesType) {
			return nil
		}
		return visit(f.data)
	})
}

// CurvesData is the plugin data of precision-recall curves with that many
// thresholds.
func CurvesData(thresholds int) []byte {
	const numThresholds = 2
	return appendInt(nil, numThresholds, int64(thresholds))
}
