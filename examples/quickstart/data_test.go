package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoadTable(t *testing.T) {
	t.Parallel()
	data, err := loadTable()
	require.NoError(t, err)
	require.Equal(t, []string{"malignant", "benign"}, data.classes)
	require.Len(t, data.rows, 569)
	require.Len(t, data.labels, 569)
	benign := 0
	for i, row := range data.rows {
		require.Len(t, row, 30)
		benign += data.labels[i]
	}
	require.Equal(t, 357, benign)
	require.Equal(t, []float64{17.99, 10.38, 122.8}, data.rows[0][:3])
}

func TestReadTableRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, wrong string }{
		"nothing":        {"", "line 1 must be"},
		"short header":   {"1,2\n", "line 1 must be"},
		"columns":        {"1,x,a,b\n", "line 1: "},
		"missing field":  {"1,2,a,b\n1,0\n", "line 2 has 2 fields instead of 3"},
		"no number":      {"1,2,a,b\n1,x,0\n", "line 2: "},
		"no class":       {"1,2,a,b\n1,2,2\n", `line 2: "2" is no class`},
		"negative class": {"1,2,a,b\n1,2,-1\n", `"-1" is no class`},
		"missing row":    {"2,2,a,b\n1,2,1\n", "1 rows instead of 2"},
		"quote":          {"1,2,a,b\n1,\"2,1\n", "parse error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readTable(strings.NewReader(tt.text))
			require.ErrorContains(t, err, tt.wrong)
		})
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	data, err := loadTable()
	require.NoError(t, err)
	training, held := data.split(0.25, 7)
	require.Len(t, held.rows, 142)
	require.Len(t, training.rows, 569-142)
	again, _ := data.split(0.25, 7)
	require.Equal(t, training, again)
	other, _ := data.split(0.25, 8)
	require.NotEqual(t, training, other)

	label := map[string]int{}
	for i, row := range data.rows {
		label[fmt.Sprint(row)] = data.labels[i]
	}
	for _, part := range []table{training, held} {
		for i, row := range part.rows {
			require.Equal(t, label[fmt.Sprint(row)], part.labels[i])
			delete(label, fmt.Sprint(row))
		}
	}
	require.Empty(t, label, "every row is in one of the parts")
}
