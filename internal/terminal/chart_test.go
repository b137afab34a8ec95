package terminal

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type point struct{ x, y float64 }

func seriesOf(limit int, points ...point) *Series {
	s := NewSeries(limit)
	for _, p := range points {
		s.Add(p.x, p.y)
	}
	return s
}

func rising(n int) []point {
	points := make([]point, n)
	for i := range points {
		points[i] = point{float64(i), float64(i)}
	}
	return points
}

func TestSeriesKeepsTheShapeInBoundedMemory(t *testing.T) {
	t.Parallel()
	s := NewSeries(64)
	for i := range 1_000_003 {
		s.Add(float64(i), float64(i%1000))
		if s.Len() > 64 {
			t.Fatal(s.Len())
		}
	}
	require.GreaterOrEqual(t, s.Len(), 32)
	low, high, n := math.Inf(1), math.Inf(-1), 0
	for i, b := range s.buckets {
		low, high, n = min(low, b.low), max(high, b.high), n+b.n
		if i < len(s.buckets)-1 { // the last one may have begun just now
			require.InDelta(t, 499.5, b.mean, 10, "bucket %d", i)
		}
		require.True(t, i == 0 || b.x > s.buckets[i-1].end)
	}
	require.Equal(t, []float64{0, 999, 1_000_003}, []float64{low, high, float64(n)})
	exact := seriesOf(64, rising(50)...)
	require.Equal(t, 50, exact.Len())
	require.Equal(t, bucket{49, 49, 49, 49, 49, 1}, exact.buckets[49])
}

func TestSeriesLeavesOutWhatIsNotFinite(t *testing.T) {
	t.Parallel()
	require.Zero(t, seriesOf(8, point{0, math.NaN()}, point{1, math.Inf(1)}, point{2, math.Inf(-1)}).Len())
}

func TestSparkline(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		points         []point
		width          int
		unicode, ascii string
	}{
		"none":      {nil, 8, "", ""},
		"one":       {[]point{{0, 3}}, 8, "▄", "-"},
		"constant":  {[]point{{0, 3}, {1, 3}}, 8, "▄▄", "--"},
		"rising":    {rising(8), 8, "▁▂▃▄▅▆▇█", ".:-=+*#@"},
		"squeezed":  {rising(80), 8, "▁▂▃▄▅▆▇█", ".:-=+*#@"},
		"huge":      {[]point{{0, -1.7e308}, {1, 1.7e308}}, 8, "▁█", ".@"},
		"no room":   {rising(8), 0, "", ""},
		"one place": {rising(8), 1, "▄", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := seriesOf(128, tt.points...)
			require.Equal(t, tt.unicode, Style{Unicode: true}.Sparkline(s, tt.width))
			if len(tt.ascii) > 1 || tt.ascii == "" {
				require.Len(t, Style{}.Sparkline(s, tt.width), len(tt.ascii))
			}
		})
	}
	require.Equal(t, ".:-=+*#@", Style{}.Sparkline(seriesOf(8, rising(8)...), 8))
}

func TestBar(t *testing.T) {
	t.Parallel()
	u := Style{Unicode: true}
	require.Equal(t, "[    ]", u.Bar(0, 6))
	require.Equal(t, "[██▌ ]", u.Bar(0.625, 6))
	require.Equal(t, "[████]", u.Bar(1, 6))
	require.Equal(t, "[████]", u.Bar(7, 6))
	require.Equal(t, "[##--]", Style{}.Bar(0.625, 6))
	require.Empty(t, u.Bar(0.5, 2))
	for i := range 101 {
		require.Equal(t, 30, Width(u.Bar(float64(i)/100, 30)))
		require.Equal(t, 30, Width(Style{}.Bar(float64(i)/100, 30)))
	}
}

func chartOf(style Style, log bool, series ...*Series) *Chart {
	c := &Chart{Style: style, Width: 30, Height: 9, Log: log}
	for i, s := range series {
		c.Add(string(rune('a'+i)), s)
	}
	return c
}

func TestChart(t *testing.T) {
	t.Parallel()
	falling := seriesOf(8, point{0, 100}, point{1, 10}, point{2, 1})
	other := seriesOf(8, point{0, 1}, point{2, 100})
	for name, tt := range map[string]struct {
		chart *Chart
		want  string
	}{
		"ascii": {chartOf(Style{}, false, falling), `
 100 |**
     |  **
     |    **
50.5 |      ***
     |         **
     |           *******
   1 |                  ******
     +------------------------
      0                      2
`},
		"logarithmic": {chartOf(Style{}, true, falling), `
100 |**
    |  ****
    |      ****
 10 |          ****
    |              ****
    |                  ****
  1 |                      ***
    +-------------------------
     0                       2
`},
		"two without colors": {chartOf(Style{Unicode: true}, false, falling, other), `
 100 ┤**                    oo
     ┤  **              oooo
     ┤    **        oooo
50.5 ┤      *** oooo
     ┤      oooo*
     ┤  oooo     *******
   1 ┤oo                ******
     └────────────────────────
      0                      2
* a
o b
`},
		"flat": {chartOf(Style{}, false, seriesOf(8, point{0, 5}, point{9, 5})), `
  |
  |
  |
5 |***************************
  |
  |
  |
  +---------------------------
   0                         9
`},
		"without steps": {chartOf(Style{}, false, seriesOf(8, point{0, 1}, point{0, 2}, point{0, 3})), `
3 |                        ***
  |                    ****
  |                ****
2 |           *****
  |       ****
  |   ****
1 |***
  +---------------------------
   0                         2
`},
		"nothing":                 {chartOf(Style{}, false, seriesOf(8)), "\n"},
		"nothing with logarithms": {chartOf(Style{}, true, seriesOf(8, point{0, 0}, point{1, -1})), "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			for line := range strings.Lines("\n" + tt.chart.Draw()) {
				got.WriteString(strings.TrimRight(line, " \n") + "\n")
			}
			require.Equal(t, tt.want, got.String())
		})
	}
}

func TestChartFitsItsWidth(t *testing.T) {
	t.Parallel()
	for name, points := range map[string][]point{
		"one":        {{0, 1}},
		"huge":       {{0, -1.7e308}, {1, 1.7e308}},
		"close":      {{0, 1.000000001}, {1, 1.000000002}},
		"long steps": {{-9e18, 1}, {9e18, 2}},
		"many":       rising(100_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, style := range []Style{{}, {Unicode: true}} {
				c := &Chart{Style: style, Width: 40, Height: 12}
				c.Add("損失"+strings.Repeat("x", 5000), seriesOf(64, points...))
				c.Add("none", NewSeries(8))
				text := c.Draw()
				for line := range strings.Lines(text) {
					require.LessOrEqual(t, Width(strings.TrimSuffix(line, "\n")), 40, line)
				}
				require.Contains(t, text, "none (no numbers)")
			}
		})
	}
	long := seriesOf(8, rising(1_000_001)...)
	require.Regexp(t, ` 0 +1000000\n$`, chartOf(Style{}, false, long).Draw(), "the axis ends with the last step")
	fine := chartOf(Style{Unicode: true}, false, seriesOf(8, rising(8)...)).Draw()
	require.True(t, strings.ContainsFunc(fine, func(r rune) bool { return r > braille && r <= braille+0xff }), fine)
	colored := chartOf(Style{Unicode: true, Color: true}, false, seriesOf(8, rising(8)...), seriesOf(8, rising(8)...)).Draw()
	require.Contains(t, colored, "\x1b["+string(colors[1])+"m")
}
