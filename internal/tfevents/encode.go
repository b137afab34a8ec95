package tfevents

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of the fields, by message.
const (
	eventWallTime, eventStep, eventFileVersion, eventGraph, eventSummary       = 1, 2, 3, 4, 5
	eventLogMessage, eventSessionLog, eventRunMetadata, eventMetaGraph         = 6, 7, 8, 9
	eventSource, sourceWriter                                                  = 10, 1
	summaryValue                                                               = 1
	valueTag, valueScalar, valueImage, valueHistogram, valueAudio, valueTensor = 1, 2, 4, 5, 6, 8
	valueMetadata, metadataPlugin, pluginName, pluginContent                   = 9, 1, 1, 2
	imageHeight, imageWidth, imageColors, imageEncoded                         = 1, 2, 3, 4
	histogramMin, histogramMax, histogramNum, histogramSum, histogramSquares   = 1, 2, 3, 4, 5
	histogramLimits, histogramCounts                                           = 6, 7
	tensorType, tensorShape, tensorContent, tensorStrings                      = 1, 2, 4, 8
	shapeDim, dimSize                                                          = 2, 1
)

// The types of a tensor's elements that are written.
const (
	typeFloat  = 1
	typeDouble = 2
	typeString = 7
)

// Append appends the event as a protocol buffer.
func (e *Event) Append(to []byte) []byte {
	to = appendDouble(to, eventWallTime, e.WallTime)
	to = appendInt(to, eventStep, e.Step)
	if e.FileVersion != "" {
		to = appendBytes(to, eventFileVersion, []byte(e.FileVersion))
	}
	if len(e.Values) > 0 {
		to = appendMessage(to, eventSummary, func(to []byte) []byte {
			for i := range e.Values {
				to = appendMessage(to, summaryValue, e.Values[i].append)
			}
			return to
		})
	}
	if e.Source != "" {
		to = appendMessage(to, eventSource, func(to []byte) []byte { return appendBytes(to, sourceWriter, []byte(e.Source)) })
	}
	return to
}

func (v *Value) append(to []byte) []byte {
	to = appendBytes(to, valueTag, []byte(v.Tag))
	switch data := v.Data.(type) {
	case float32:
		to = protowire.AppendTag(to, valueScalar, protowire.Fixed32Type)
		to = protowire.AppendFixed32(to, math.Float32bits(data))
	case Image:
		to = appendMessage(to, valueImage, data.append)
	case Histogram:
		to = appendMessage(to, valueHistogram, data.append)
	case Tensor:
		to = appendMessage(to, valueTensor, data.append)
	}
	if v.Plugin == "" {
		return to
	}
	return appendMessage(to, valueMetadata, func(to []byte) []byte {
		return appendMessage(to, metadataPlugin, func(to []byte) []byte {
			to = appendBytes(to, pluginName, []byte(v.Plugin))
			if len(v.PluginData) > 0 {
				to = appendBytes(to, pluginContent, v.PluginData)
			}
			return to
		})
	})
}

func (i Image) append(to []byte) []byte {
	const rgba = 4
	to = appendInt(to, imageHeight, int64(i.Height))
	to = appendInt(to, imageWidth, int64(i.Width))
	to = appendInt(to, imageColors, rgba)
	return appendBytes(to, imageEncoded, i.Encoded)
}

func (h Histogram) append(to []byte) []byte {
	to = appendDouble(to, histogramMin, h.Min)
	to = appendDouble(to, histogramMax, h.Max)
	to = appendDouble(to, histogramNum, h.Num)
	to = appendDouble(to, histogramSum, h.Sum)
	to = appendDouble(to, histogramSquares, h.SumSquares)
	to = appendBytes(to, histogramLimits, doubles(h.Limits))
	return appendBytes(to, histogramCounts, doubles(h.Counts))
}

func (t Tensor) append(to []byte) []byte {
	to = appendInt(to, tensorType, t.dtype())
	to = appendMessage(to, tensorShape, func(to []byte) []byte {
		for _, size := range t.Shape {
			to = appendMessage(to, shapeDim, func(to []byte) []byte { return appendInt(to, dimSize, size) })
		}
		return to
	})
	switch t.dtype() {
	case typeString:
		for _, text := range t.Texts {
			to = appendBytes(to, tensorStrings, text)
		}
		return to
	case typeDouble:
		return appendBytes(to, tensorContent, doubles(t.Numbers))
	}
	var content []byte
	for _, n := range t.Numbers {
		content = binary.LittleEndian.AppendUint32(content, math.Float32bits(float32(n)))
	}
	return appendBytes(to, tensorContent, content)
}

func (t Tensor) dtype() int64 {
	switch {
	case t.Texts != nil:
		return typeString
	case t.Double:
		return typeDouble
	}
	return typeFloat
}

func doubles(values []float64) []byte {
	out := make([]byte, 0, 8*len(values))
	for _, v := range values {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v))
	}
	return out
}

func appendDouble(to []byte, field protowire.Number, v float64) []byte {
	to = protowire.AppendTag(to, field, protowire.Fixed64Type)
	return protowire.AppendFixed64(to, math.Float64bits(v))
}

func appendInt(to []byte, field protowire.Number, v int64) []byte {
	to = protowire.AppendTag(to, field, protowire.VarintType)
	return protowire.AppendVarint(to, uint64(v))
}

func appendBytes(to []byte, field protowire.Number, v []byte) []byte {
	to = protowire.AppendTag(to, field, protowire.BytesType)
	return protowire.AppendBytes(to, v)
}

// appendMessage appends what body appends as a message of its own.
func appendMessage(to []byte, field protowire.Number, body func([]byte) []byte) []byte {
	return appendBytes(to, field, body(nil))
}
