package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/metrics"
)

// line is one line of the metrics file:
//
//	{"name": "loss", "value": 0.25, "step": 3}      a scalar: number, string, true, false, null
//	{"name": "sizes", "value": [1, 2, 3]}           a list
//	{"name": "epoch", "value": {"a": 1, "b": 2}}    a row; with lists of equal length, rows
//	{"name": "plot", "image": "plot.png"}           an image file
//	{"param": "lr", "value": 0.1}                   a parameter
//	{"tag": "team", "value": "risk"}                a tag
//
// "step" is an integer, "time" RFC 3339 or seconds since 1970; both may be
// missing. NaN, Infinity and -Infinity are numbers, as Python's json writes them.
type line struct {
	Name  string          `json:"name"`
	Param string          `json:"param"`
	Tag   string          `json:"tag"`
	Value json.RawMessage `json:"value"`
	Image string          `json:"image"`
	Step  int64           `json:"step"`
	Time  json.RawMessage `json:"time"`
}

func parseLine(text []byte) (line, error) {
	decoder := json.NewDecoder(bytes.NewReader(quoteSpecials(text)))
	decoder.DisallowUnknownFields()
	var l line
	if err := decoder.Decode(&l); err != nil {
		return line{}, fmt.Errorf("%w: %w in %.200q", azml.ErrInvalid, err, text)
	}
	set := 0
	for _, name := range []string{l.Name, l.Param, l.Tag} {
		if name != "" {
			set++
		}
	}
	if set != 1 {
		return line{}, fmt.Errorf(`%w: one of "name", "param" and "tag" must be given in %.200q`, azml.ErrInvalid, text)
	}
	return l, nil
}

// special marks the numbers that JSON has no form for. No text of a user
// begins with it: NUL can't come out of a JSON text but by its escape.
const special = `\u0000number:`

// quoteSpecials turns NaN, Infinity and -Infinity outside of strings into
// marked strings.
func quoteSpecials(text []byte) []byte {
	if !bytes.Contains(text, []byte("NaN")) && !bytes.Contains(text, []byte("Infinity")) {
		return text
	}
	var out []byte
	inString := false
	for i := 0; i < len(text); {
		c := text[i]
		if inString {
			if c == '\\' && i+1 < len(text) {
				out = append(out, c, text[i+1])
				i += 2
				continue
			}
			inString = c != '"'
		} else if word := specialAt(text[i:]); word != "" {
			out = append(out, '"')
			out = append(out, special+word+`"`...)
			i += len(word)
			continue
		} else if c == '"' {
			inString = true
		}
		out = append(out, c)
		i++
	}
	return out
}

func specialAt(text []byte) string {
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(text, []byte(word)) {
			return word
		}
	}
	return ""
}

// text gives the value of a parameter or tag as text.
func (l line) text() string {
	v, err := decodeValue(l.Value)
	if err != nil || v == nil {
		return ""
	}
	switch v := v.(type) {
	case string:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	}
	return string(l.Value)
}

// point gives the logged value.
func (l line) point() (metrics.Point, error) {
	p := metrics.Point{Name: l.Name, Step: l.Step}
	var err error
	if p.Time, err = l.time(); err != nil {
		return p, err
	}
	if l.Image != "" {
		p.Kind = metrics.KindImage
		return p, nil
	}
	v, err := decodeValue(l.Value)
	if err != nil {
		return p, err
	}
	switch v := v.(type) {
	case []any:
		p.Kind = metrics.KindList
		p.Value, err = metrics.List(v)
	case map[string]any:
		p.Kind = metrics.KindTable
		p.Value, err = metrics.Columns(v)
	default:
		p.Kind = metrics.KindScalar
		p.Value, err = metrics.Scalar(v)
	}
	return p, err
}

// time gives the line's time, zero when it has none.
func (l line) time() (time.Time, error) {
	v, err := decodeValue(l.Time)
	if err != nil {
		return time.Time{}, err
	}
	switch v := v.(type) {
	case nil:
		return time.Time{}, nil
	case string:
		if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return t, nil
		}
	case float64:
		if !math.IsNaN(v) && math.Abs(v) < 1e10 {
			return time.UnixMicro(int64(v * 1e6)).UTC(), nil
		}
	case int64:
		return time.Unix(v, 0).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%w: time %s: write RFC 3339 or seconds since 1970", azml.ErrInvalid, l.Time)
}

// decodeValue decodes JSON with whole numbers as int64 and the marked specials
// as float64.
func decodeValue(data json.RawMessage) (any, error) {
	if len(data) == 0 {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: %w", azml.ErrInvalid, err)
	}
	return plain(v)
}

func plain(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, fmt.Errorf("%w: number %s is out of range", azml.ErrInvalid, v)
		}
		return f, nil
	case string:
		if word, ok := strings.CutPrefix(v, "\x00number:"); ok {
			return map[string]any{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)}[word], nil
		}
	case []any:
		for i := range v {
			var err error
			if v[i], err = plain(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for name := range v {
			var err error
			if v[name], err = plain(v[name]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
