package tabular_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/tabular"
)

func TestColumns(t *testing.T) {
	t.Parallel()
	for _, typ := range tabular.Types() {
		c := tabular.NewColumn(tabular.Field{Name: "c", Type: typ}, 3)
		require.Equal(t, 3, c.Len())
		require.NotNil(t, c.Value(0))
		c.SetNull(1)
		require.Nil(t, c.Value(1))
		b := &tabular.Batch{Rows: 3, Columns: []tabular.Column{c}}
		part := b.Slice(1, 3)
		require.Equal(t, 2, part.Rows)
		require.True(t, part.Columns[0].Null(0))
		b.Keep([]bool{false, true, true})
		require.Equal(t, 2, b.Columns[0].Len())
		require.True(t, b.Columns[0].Null(0))
		require.False(t, b.Columns[0].Null(1))
		require.Equal(t, tabular.Schema{{Name: "c", Type: typ}}, b.Schema())
		parsed, err := tabular.ParseType(string(typ))
		require.NoError(t, err)
		require.Equal(t, typ, parsed)
	}
	c := tabular.NewColumn(tabular.Field{Type: tabular.Time}, 1)
	c.Ints[0] = 1e9
	require.Equal(t, time.Unix(1, 0).UTC(), c.Value(0))
	c.SetNull(0)
	require.Zero(t, c.Ints[0])
	_, err := tabular.ParseType("int")
	require.ErrorIs(t, err, azml.ErrInvalid)
}
