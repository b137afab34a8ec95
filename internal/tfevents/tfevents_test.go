package tfevents

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/azml-go/azml"
)

var sample = []Event{
	{WallTime: 1.5, FileVersion: FileVersion},
	{WallTime: 2.25, Step: -3, Source: "w 7", Values: []Value{{Tag: "loss", Plugin: PluginScalars, PluginData: []byte{8, 1}, Data: float32(0.1)}}},
	{WallTime: 3, Step: math.MaxInt64, Values: []Value{
		{Tag: "picture", Data: Image{Width: 2, Height: 3, Encoded: []byte("png")}},
		{Tag: "spread", Data: Histogram{Min: -1, Max: 2, Num: 3, Sum: 4, SumSquares: 5, Limits: []float64{0, 2}, Counts: []float64{1, 2}}},
		{Tag: "text", Plugin: PluginText, Data: Tensor{Shape: []int64{2}, Texts: [][]byte{[]byte("a"), []byte("")}}},
		{Tag: "floats", Data: Tensor{Shape: []int64{1, 2}, Numbers: []float64{0.5, math.Inf(-1)}}},
		{Tag: "doubles", Data: Tensor{Numbers: []float64{0.1}, Double: true}},
		{Tag: "unknown"},
	}},
}

func file(events ...Event) []byte {
	var out []byte
	for _, e := range events {
		out = AppendRecord(out, e.Append(nil))
	}
	return out
}

// read gives the events of a file and the errors met on the way, but for io.EOF.
func read(data []byte) (events []Event, offsets []int64, failures []error) {
	r := NewReader(bytes.NewReader(data))
	for {
		at := r.Offset()
		record, err := r.Next()
		if err == nil {
			var e Event
			if e, err = Parse(bytes.Clone(record)); err == nil {
				events, offsets = append(events, e), append(offsets, at)
				continue
			}
		}
		if errors.Is(err, io.EOF) {
			return events, offsets, failures
		}
		failures = append(failures, err)
		if r.stuck != nil {
			return events, offsets, failures
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	got, _, failures := read(file(sample...))
	require.Empty(t, failures)
	require.Equal(t, sample, got)
}

// The masked checksum of an empty record is a constant of the format.
func TestGoldenRecord(t *testing.T) {
	t.Parallel()
	require.Equal(t, "000000000000000029039807d8ea82a2", hex.EncodeToString(AppendRecord(nil, nil)))
}

func TestDamage(t *testing.T) {
	t.Parallel()
	whole := file(sample...)
	_, offsets, _ := read(whole)
	flip := func(at int64) []byte {
		data := bytes.Clone(whole)
		data[at] ^= 1
		return data
	}
	for name, tt := range map[string]struct {
		data   []byte
		events int
		want   error
		text   string
	}{
		"whole":             {whole, 3, nil, ""},
		"empty":             {nil, 0, nil, ""},
		"cut in the header": {whole[:offsets[2]+5], 2, io.ErrUnexpectedEOF, ""},
		"cut in the data":   {whole[:offsets[2]+20], 2, io.ErrUnexpectedEOF, ""},
		"cut in the sum":    {whole[:len(whole)-1], 2, io.ErrUnexpectedEOF, ""},
		"data":              {flip(offsets[1] + 14), 2, azml.ErrDamaged, "offset 42"},
		"sum":               {flip(offsets[2] - 1), 2, azml.ErrDamaged, "offset 42"},
		"header":            {flip(offsets[1] + 2), 1, azml.ErrDamaged, "offset 42"},
		"not an event":      {AppendRecord(file(sample[0]), []byte{0xff}), 1, azml.ErrDamaged, "no event"},
		"absurd length":     {absurd(1 << 60), 0, azml.ErrDamaged, "offset 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events, _, failures := read(tt.data)
			require.Len(t, events, tt.events)
			if tt.want == nil {
				require.Empty(t, failures)
				return
			}
			require.Len(t, failures, 1)
			require.ErrorIs(t, failures[0], tt.want)
			require.Contains(t, failures[0].Error(), tt.text)
		})
	}
}

// absurd is a header, with a good checksum, of a record that isn't there.
func absurd(length uint64) []byte {
	header := binary.LittleEndian.AppendUint64(nil, length)
	return append(binary.LittleEndian.AppendUint32(header, masked(header)), "little"...)
}

// Not parallel: it measures what the process allocates.
func TestAbsurdLengthsDontAllocate(t *testing.T) {
	tensor := Tensor{Shape: []int64{1 << 40}, Numbers: []float64{1}}.append(nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := NewReader(bytes.NewReader(absurd(maxRecord))).Next()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = parseTensor(tensor)
	require.ErrorIs(t, err, azml.ErrDamaged)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestTensorsOfEveryType(t *testing.T) {
	t.Parallel()
	packed := func(typ uint64, content string) []byte {
		return appendBytes(appendInt(nil, tensorType, int64(typ)), tensorContent, []byte(content))
	}
	single := func(typ uint64, field protowire.Number, v int64) []byte {
		return appendInt(appendInt(nil, tensorType, int64(typ)), field, v)
	}
	for name, tt := range map[string]struct {
		data []byte
		want float64
	}{
		"int32":            {packed(3, "\xfe\xff\xff\xff"), -2},
		"uint8":            {packed(4, "\xfe"), 254},
		"int16":            {packed(5, "\xfe\xff"), -2},
		"int8":             {packed(6, "\xfe"), -2},
		"int64":            {packed(9, "\xfe\xff\xff\xff\xff\xff\xff\xff"), -2},
		"bool":             {packed(10, "\x01"), 1},
		"bfloat16":         {packed(14, "\xc0\x3f"), 1.5},
		"uint16":           {packed(17, "\xfe\xff"), 65534},
		"half":             {packed(19, "\x00\xbe"), -1.5},
		"least half":       {packed(19, "\x01\x00"), math.Ldexp(1, -24)},
		"infinite half":    {packed(19, "\x00\x7c"), math.Inf(1)},
		"uint32":           {packed(22, "\xfe\xff\xff\xff"), 4294967294},
		"uint64":           {packed(23, "\x02\x00\x00\x00\x00\x00\x00\x00"), 2},
		"one int32":        {single(3, 7, -2), -2},
		"one int64":        {single(9, 10, -2), -2},
		"one bool":         {single(10, 11, 1), 1},
		"one half":         {single(19, 13, 0x3e00), 1.5},
		"one bfloat16":     {single(14, 13, 0x3fc0), 1.5},
		"one uint64":       {single(23, 17, 7), 7},
		"one packed int32": {appendBytes(appendInt(nil, tensorType, 3), 7, []byte{5}), 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseTensor(tt.data)
			require.NoError(t, err)
			require.Equal(t, []float64{tt.want}, got.(Tensor).Numbers)
		})
	}
	filled, err := parseTensor(appendBytes(Tensor{Shape: []int64{3}}.append(nil), 5, []byte{0, 0, 0, 0x40}))
	require.NoError(t, err)
	require.Equal(t, []float64{2, 2, 2}, filled.(Tensor).Numbers)
	unknown, err := parseTensor(appendInt(nil, tensorType, 8))
	require.NoError(t, err)
	require.Nil(t, unknown)
}

func FuzzReader(f *testing.F) {
	whole := file(sample...)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(absurd(maxRecord))
	f.Fuzz(func(t *testing.T, data []byte) {
		events, offsets, _ := read(data)
		last := int64(-1)
		for _, at := range offsets {
			if at <= last || at >= int64(len(data)) {
				t.Fatalf("offsets %v in %d bytes", offsets, len(data))
			}
			last = at
		}
		again, _, failures := read(file(events...))
		if len(failures) > 0 || len(again) != len(events) {
			t.Fatalf("what was read and written again gives %d of %d events: %v", len(again), len(events), failures)
		}
	})
}

// FuzzEvent fuzzes what a record holds: its checksum would hide it from
// FuzzReader.
func FuzzEvent(f *testing.F) {
	for _, e := range sample {
		f.Add(e.Append(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			if !errors.Is(err, azml.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		again, err := Parse(e.Append(nil))
		if err != nil || len(again.Values) != len(e.Values) {
			t.Fatalf("%+v became %+v: %v", e, again, err)
		}
	})
}
