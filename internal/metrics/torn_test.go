package metrics

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTornChecksum has a writer die between the bytes of its last record's CRC.
func TestTornChecksum(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h, crc, err := parseSpoolHeader(f.spool)
	require.NoError(t, err)
	last := 0
	for off := h.size(); ; {
		body, total, _ := cutRecord(f.spool[off:], crc)
		if body == nil {
			break
		}
		last, crc = off, binary.LittleEndian.Uint32(f.spool[off:])
		off += total
	}
	for cut := range 4 {
		torn := bytes.Clone(f.spool)
		clear(torn[last+cut : last+4])
		l := f.open(t, nil, torn)
		done, err := l.Recover(t.Context())
		require.NoError(t, err)
		require.Empty(t, done.Damaged, "%d bytes written", cut)
		require.Equal(t, len(f.points)-1, done.Points)
	}
}
