package gateway

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
)

// FuzzValue reads values as somebody else may send them: what can be read is what is
// sent again.
func FuzzValue(f *testing.F) {
	for _, text := range []string{"", "s", "stext", "r/w==", "r!", "i1", "i", "f0.5", "fNaN", "btrue", "bmaybe", "t1 2", "t", "t1", "xAP8=", "z"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := fromWireValue(&text)
		if err != nil {
			require.ErrorIs(t, err, azml.ErrDamaged)
			return
		}
		sent, err := toWireValue(value)
		require.NoError(t, err)
		again, err := fromWireValue(sent)
		require.NoError(t, err)
		if f, ok := value.(float64); !ok || !math.IsNaN(f) {
			require.Equal(t, value, again)
		}
	})
}
