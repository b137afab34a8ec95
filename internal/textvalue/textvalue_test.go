package textvalue

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/tabular"
)

func TestGuess(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]tabular.Type{
		"":                                tabular.String,
		"1|-2|+3":                         tabular.Int,
		"1|2.5":                           tabular.Float,
		"1|1e400":                         tabular.Float,
		"1|nan":                           tabular.Float,
		"nan|inf":                         tabular.String,
		"1|x":                             tabular.String,
		"0x10":                            tabular.String,
		"1_000":                           tabular.String,
		"true|FALSE":                      tabular.Bool,
		"true|1":                          tabular.String,
		"2024-01-02|2024-01-02T10:00:00Z": tabular.Time,
		"2024-02-30":                      tabular.String,
		"20240102":                        tabular.Int,
		"9223372036854775808":             tabular.String,
		"9223372036854775808|1.5":         tabular.String,
	} {
		var g Guess
		for value := range strings.SplitSeq(text, "|") {
			if value != "" {
				g.Add([]byte(value))
			}
		}
		require.Equal(t, want, g.Type(), text)
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2024-02-29":                        "2024-02-29T00:00:00Z",
		" 2024-02-29 ":                      "2024-02-29T00:00:00Z",
		"1969-12-31 23:59:59.5":             "1969-12-31T23:59:59.5Z",
		"2024-02-29T10:00":                  "2024-02-29T10:00:00Z",
		"2024-02-29 10:00:00.123456789123":  "2024-02-29T10:00:00.123456789Z",
		"2024-02-29T10:00:00+05:30":         "2024-02-29T04:30:00Z",
		"2024-02-29 10:00:00 -0130":         "2024-02-29T11:30:00Z",
		"2024-02-29T10:00:00z":              "2024-02-29T10:00:00Z",
		"2023-02-29":                        "",
		"2024-02-29T24:00:00":               "",
		"2024-02-29T10:00:00+1":             "",
		"2024-02-29T10:00:00 Europe/Berlin": "",
		"2024-02-29T1:00":                   "",
		"2024-02-2x":                        "",
	} {
		ns, ok, inRange := Time([]byte(text), nil)
		require.Equal(t, want != "", ok, text)
		require.True(t, inRange, text)
		if ok {
			require.Equal(t, want, time.Unix(0, ns).UTC().Format(time.RFC3339Nano))
		}
	}
	for _, text := range []string{"1677-01-01", "2263-01-01", "9999-12-31T23:59:59Z", "0001-01-01"} {
		_, ok, inRange := Time([]byte(text), nil)
		require.True(t, ok, text)
		require.False(t, inRange, text)
	}
	ns, ok, _ := Time([]byte("31/12/2024"), []string{"2.1.2006", "02/01/2006"})
	require.True(t, ok)
	require.Equal(t, 2024, time.Unix(0, ns).UTC().Year())
}

func FuzzTime(f *testing.F) {
	for _, text := range []string{"2024-02-29T10:00:00.5+05:30", "1700-01-01T00:00:00Z", "2000-12-31T23:59:59-11:45"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return // we take more
		}
		if _, offset := want.Zone(); offset <= -24*3600 || offset >= 24*3600 {
			return // package time takes these, too
		}
		ns, ok, inRange := Time([]byte(text), nil)
		if !ok {
			require.NotEqual(t, text, want.Format(time.RFC3339Nano)) // package time takes "T1:02" and "+05:60", too
			return
		}
		if !InRange(want) {
			require.False(t, inRange)
			return
		}
		require.Equal(t, want.UnixNano(), ns)
	})
}

func FuzzFloat(f *testing.F) {
	for _, text := range []string{"1.5", "-0.1e-10", "9007199254740993", "1e400", "nan", "-Infinity", "0x1p-2"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := Float([]byte(text))
		want, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if strings.ContainsAny(text, "xX_") {
			require.False(t, ok)
			return
		}
		require.Equal(t, err == nil || math.IsInf(want, 0), ok, "%q", text)
		if ok {
			require.Equal(t, math.Float64bits(want), math.Float64bits(got))
		}
	})
}
