package record

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// table has a row for each status and a column for each next one, in the order
// of Statuses: x where the transition is legal.
var table = []struct {
	from Status
	to   string
}{
	{NotStarted, ".xxxxx.xx.xx"},
	{Starting, "..xxxx.xx.xx"},
	{Provisioning, "...xxx.xx.xx"},
	{Preparing, "....xx.xx.xx"},
	{Queued, "...xxx.xx.xx"},
	{Running, "....x.xxxxxx"},
	{Finalizing, ".......xxxxx"},
	{CancelRequested, "........xxxx"},
	{NotResponding, ".xxxxxxx.xxx"},
	{Completed, ".....x......"},
	{Failed, ".....x......"},
	{Canceled, ".....x......"},
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	require.Len(t, table, len(Statuses()))
	require.Len(t, transitions, len(Statuses()))
	for i, row := range table {
		require.Equal(t, Statuses()[i], row.from)
		for j, to := range Statuses() {
			require.Equal(t, row.to[j] == 'x', row.from.CanBecome(to), "%s to %s", row.from, to)
		}
		require.Equal(t, row.to == ".....x......", row.from.Terminal(), row.from)
		require.False(t, row.from.CanBecome("Paused"))
	}
}

func TestUnknownStatusGoesOn(t *testing.T) {
	t.Parallel()
	for _, s := range []Status{"", "Paused", "completed"} {
		require.False(t, s.Terminal())
		for _, to := range Statuses() {
			require.False(t, s.CanBecome(to))
		}
	}
}
