package tfevents

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/azml-go/azml"
)

// field is one field of a message.
type field struct {
	num  protowire.Number
	typ  protowire.Type
	bits uint64 // of a varint or a fixed number
	data []byte // of anything with a length
}

func (f field) double() float64 { return math.Float64frombits(f.bits) }

// is tells whether the field is this one and has this type; a field of another
// type is none that anybody has written.
func (f field) is(num protowire.Number, typ protowire.Type) bool { return f.num == num && f.typ == typ }

// fields calls visit for each field of a message.
func fields(message []byte, visit func(f field) error) error {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		if n < 0 {
			return malformed(protowire.ParseError(n))
		}
		message = message[n:]
		f := field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.bits, n = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var bits uint32
			bits, n = protowire.ConsumeFixed32(message)
			f.bits = uint64(bits)
		case protowire.Fixed64Type:
			f.bits, n = protowire.ConsumeFixed64(message)
		case protowire.BytesType:
			f.data, n = protowire.ConsumeBytes(message)
		default:
			n = protowire.ConsumeFieldValue(num, typ, message)
		}
		if n < 0 {
			return malformed(protowire.ParseError(n))
		}
		message = message[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

func malformed(err error) error {
	return fmt.Errorf("%w: it is no event: %w", azml.ErrDamaged, err)
}

// others names what events hold beside values.
var others = map[protowire.Number]string{
	eventGraph: "graph", eventLogMessage: "log message", eventSessionLog: "session log",
	eventRunMetadata: "run metadata", eventMetaGraph: "meta graph",
}

// Parse reads an event. What it gives refers to data. Errors: ErrDamaged when
// data is no event.
func Parse(data []byte) (Event, error) {
	var e Event
	err := fields(data, func(f field) error {
		switch {
		case f.is(eventWallTime, protowire.Fixed64Type):
			e.WallTime = f.double()
		case f.is(eventStep, protowire.VarintType):
			e.Step = int64(f.bits)
		case f.is(eventFileVersion, protowire.BytesType):
			e.FileVersion = string(f.data)
		case f.is(eventSummary, protowire.BytesType):
			return fields(f.data, func(f field) error {
				if !f.is(summaryValue, protowire.BytesType) {
					return nil
				}
				v, err := parseValue(f.data)
				e.Values = append(e.Values, v)
				return err
			})
		case f.is(eventSource, protowire.BytesType):
			return fields(f.data, func(f field) error {
				if f.is(sourceWriter, protowire.BytesType) {
					e.Source = string(f.data)
				}
				return nil
			})
		case others[f.num] != "":
			e.Other = others[f.num]
		}
		return nil
	})
	return e, err
}

func parseValue(data []byte) (v Value, err error) {
	err = fields(data, func(f field) (err error) {
		switch {
		case f.is(valueTag, protowire.BytesType):
			v.Tag = string(f.data)
		case f.is(valueScalar, protowire.Fixed32Type):
			v.Data = math.Float32frombits(uint32(f.bits))
		case f.is(valueImage, protowire.BytesType):
			v.Data, err = parseImage(f.data)
		case f.is(valueHistogram, protowire.BytesType):
			v.Data, err = parseHistogram(f.data)
		case f.is(valueTensor, protowire.BytesType):
			v.Data, err = parseTensor(f.data)
		case f.is(valueMetadata, protowire.BytesType):
			err = v.parseMetadata(f.data)
		}
		return err
	})
	return v, err
}

func (v *Value) parseMetadata(data []byte) error {
	return fields(data, func(f field) error {
		if !f.is(metadataPlugin, protowire.BytesType) {
			return nil
		}
		return fields(f.data, func(f field) error {
			switch {
			case f.is(pluginName, protowire.BytesType):
				v.Plugin = string(f.data)
			case f.is(pluginContent, protowire.BytesType):
				v.PluginData = f.data
			}
			return nil
		})
	})
}

func parseImage(data []byte) (Image, error) {
	var i Image
	err := fields(data, func(f field) error {
		switch {
		case f.is(imageHeight, protowire.VarintType):
			i.Height = int(int32(f.bits))
		case f.is(imageWidth, protowire.VarintType):
			i.Width = int(int32(f.bits))
		case f.is(imageEncoded, protowire.BytesType):
			i.Encoded = f.data
		}
		return nil
	})
	return i, err
}

func parseHistogram(data []byte) (Histogram, error) {
	var h Histogram
	numbers := map[protowire.Number]*float64{histogramMin: &h.Min, histogramMax: &h.Max, histogramNum: &h.Num,
		histogramSum: &h.Sum, histogramSquares: &h.SumSquares}
	err := fields(data, func(f field) (err error) {
		switch to := numbers[f.num]; {
		case to != nil && f.typ == protowire.Fixed64Type:
			*to = f.double()
		case f.num == histogramLimits:
			h.Limits, err = appendNumbers(h.Limits, f, typeDouble)
		case f.num == histogramCounts:
			h.Counts, err = appendNumbers(h.Counts, f, typeDouble)
		}
		return err
	})
	if err == nil && len(h.Limits) != len(h.Counts) {
		err = malformed(fmt.Errorf("a histogram has %d limits and %d counts", len(h.Limits), len(h.Counts)))
	}
	return h, err
}
