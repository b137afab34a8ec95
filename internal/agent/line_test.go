package agent

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/metrics"
)

func TestPointsOfLines(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		kind  metrics.Kind
		value any
		step  int64
	}{
		"number":     {`{"name": "a", "value": 0.5, "step": 7}`, metrics.KindScalar, 0.5, 7},
		"integer":    {`{"name": "a", "value": 9007199254740993}`, metrics.KindScalar, int64(9007199254740993), 0},
		"text":       {`{"name": "a", "value": "NaN"}`, metrics.KindScalar, "NaN", 0},
		"bool":       {`{"name": "a", "value": true}`, metrics.KindScalar, true, 0},
		"null":       {`{"name": "a", "value": null}`, metrics.KindScalar, nil, 0},
		"no value":   {`{"name": "a"}`, metrics.KindScalar, nil, 0},
		"infinity":   {`{"name": "a", "value": Infinity}`, metrics.KindScalar, math.Inf(1), 0},
		"-infinity":  {`{"name": "say \"NaN\"", "value": -Infinity}`, metrics.KindScalar, math.Inf(-1), 0},
		"list":       {`{"name": "a", "value": [1, 2.5]}`, metrics.KindList, []any{1.0, 2.5}, 0},
		"odd list":   {`{"name": "a", "value": [-Infinity, "Infinity"]}`, metrics.KindList, []any{math.Inf(-1), "Infinity"}, 0},
		"row":        {`{"name": "a", "value": {"x": 1, "y": "b"}}`, metrics.KindTable, []metrics.Column{{Name: "x", Values: []any{int64(1)}}, {Name: "y", Values: []any{"b"}}}, 0},
		"rows":       {`{"name": "a", "value": {"x": [1, 2]}}`, metrics.KindTable, []metrics.Column{{Name: "x", Values: []any{int64(1), int64(2)}}}, 0},
		"image":      {`{"name": "a", "image": "p.png"}`, metrics.KindImage, nil, 0},
		"great step": {`{"name": "a", "value": 1, "step": 9223372036854775807}`, metrics.KindScalar, int64(1), math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := parseLine([]byte(test.text))
			require.NoError(t, err)
			p, err := l.point()
			require.NoError(t, err)
			require.Equal(t, test.kind, p.Kind)
			require.Equal(t, test.value, p.Value)
			require.Equal(t, test.step, p.Step)
		})
	}
}

func TestNaNIsANumber(t *testing.T) {
	t.Parallel()
	l, err := parseLine([]byte(`{"name": "a", "value": NaN}`))
	require.NoError(t, err)
	p, err := l.point()
	require.NoError(t, err)
	require.True(t, math.IsNaN(p.Value.(float64)))
}

func TestTimesOfLines(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		`"2026-01-02T03:04:05.5Z"`: time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.UTC),
		`1767323045`:               time.Unix(1767323045, 0).UTC(),
		`1767323045.25`:            time.Unix(1767323045, 25e7).UTC(),
	} {
		l, err := parseLine([]byte(`{"name": "a", "value": 1, "time": ` + text + `}`))
		require.NoError(t, err)
		p, err := l.point()
		require.NoError(t, err)
		require.True(t, want.Equal(p.Time), text)
	}
}

func TestParamsAndTags(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`0.1`: "0.1", `"x"`: "x", `true`: "true", `null`: "", `NaN`: "NaN", `[1,2]`: "[1,2]", `12345678901234567890`: "12345678901234567890",
	} {
		l, err := parseLine([]byte(`{"param": "p", "value": ` + text + `}`))
		require.NoError(t, err, text)
		require.Equal(t, "p", l.Param)
		require.Equal(t, want, l.text(), text)
	}
}

func TestBadLines(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no JSON":      `loss 0.5`,
		"no name":      `{"value": 1}`,
		"two names":    `{"name": "a", "param": "b", "value": 1}`,
		"unknown":      `{"name": "a", "value": 1, "epoch": 3}`,
		"nested list":  `{"name": "a", "value": [[1]]}`,
		"uneven table": `{"name": "a", "value": {"x": [1, 2], "y": [1]}}`,
		"step":         `{"name": "a", "value": 1, "step": 1.5}`,
		"time":         `{"name": "a", "value": 1, "time": "yesterday"}`,
		"cut off":      `{"name": "a", "value": 1`,
		"huge number":  `{"name": "a", "value": 1e999}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := parseLine([]byte(text))
			if err == nil {
				_, err = l.point()
			}
			require.ErrorIs(t, err, azml.ErrInvalid)
		})
	}
}

func TestLinesThatWereTaken(t *testing.T) {
	t.Parallel()
	before := &taken{left: 2, kinds: map[string]metrics.Kind{}}
	for _, line := range []struct {
		text  string
		taken bool
	}{
		{`{"name": "a", "value": 1}`, true},
		{`{"name": "a", "value": [1]}`, true},     // refused: another kind
		{`{"name": "l", "value": []}`, true},      // logs nothing
		{`{"name": "i", "image": "p.png"}`, true}, // no point
		{`{"param": "p", "value": 1}`, true},      // no point
		{`no line`, true},                         // refused
		{`{"name": "a", "value": 2}`, true},       // the second point
		{`{"name": "a", "value": 3}`, false},      // was not reached
		{`{"param": "q", "value": 1}`, false},     // nor was this
	} {
		require.Equal(t, line.taken, before.was([]byte(line.text)), line.text)
	}
}

func FuzzLine(f *testing.F) {
	for _, text := range []string{`{"name": "a", "value": NaN, "step": 1}`, `{"param": "p", "value": "\u0000number:NaN"}`,
		`{"name": "\"NaN", "value": {"x": [Infinity]}}`, `{"tag": "t"}`, `{`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseLine(text)
		if err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
			return
		}
		_ = l.text()
		if _, err := l.point(); err != nil {
			require.ErrorIs(t, err, azml.ErrInvalid)
		}
	})
}
