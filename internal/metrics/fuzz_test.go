package metrics

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

// FuzzFrame feeds payloads whose checksum is right.
func FuzzFrame(f *testing.F) {
	f.Add(uint32(2), []byte("\x01\x01\x01\x01x\x01\x00\x02\x00\x01\x00\x02\x01\x01\x02\x00\x02\x02\x01"))
	r := rand.New(rand.NewPCG(1, 1))
	for range 5 {
		var b batch
		s := &series{name: "loss", kind: codeScalar, typ: typeFloat}
		for i := range uint64(9) {
			b.add(&entry{series: s, seq: i + 1, step: int64(i), time: int64(i) * 1000, bits: r.Uint64()})
		}
		f.Add(uint32(9), b.frame()[frameHeaderSize:])
	}
	f.Fuzz(func(t *testing.T, count uint32, payload []byte) {
		h := frameHeader{length: uint64(len(payload)), first: 1, count: count%maxFramePoints + 1, crc: crcOf(payload)}
		fr, err := readFrame(h, payload)
		if err != nil {
			return
		}
		var b batch
		n := 0
		for e := new(entry); fr.next(e); n++ {
			b.add(e)
		}
		require.EqualValues(t, h.count, n)
		again := b.frame()
		h2, ok := parseFrameHeader(again)
		require.True(t, ok)
		fr, err = readFrame(h2, again[frameHeaderSize:])
		require.NoError(t, err)
		require.Equal(t, h.count, fr.count)
	})
}

// FuzzSegment feeds whole objects.
func FuzzSegment(f *testing.F) {
	f.Add([]byte(frameMagic))
	var b batch
	b.add(&entry{series: &series{name: "x", kind: codeScalar, typ: typeString}, seq: 1, blob: []byte("y")})
	f.Add(b.frame())
	f.Fuzz(func(t *testing.T, object []byte) {
		objects := memory.NewObjects()
		l := Open(objects, testPrefix, nil)
		if _, err := objects.Append(t.Context(), segmentKey(testPrefix, "0123456789abcdef", 1), 0, object); err != nil {
			return
		}
		_, readErr := collectPoints(l.Read(t.Context(), nil))
		damage, err := l.Verify(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, readErr != nil, len(damage) > 0)
		if readErr != nil {
			require.ErrorIs(t, readErr, azml.ErrDamaged)
		}
	})
}

// FuzzSpool feeds records behind a good header. Their checksums are made
// right, as far as their lengths make sense.
func FuzzSpool(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x04\x00\x01\x01x\x00\x00\x00\x00\x0b\x01\x02\x0212345678"))
	f.Add([]byte("\x00\x00\x00\x00\x04\x00\x02\x06x\x00\x00\x00\x00\x05\x01\x02\x02\x01\x04"))
	f.Fuzz(func(t *testing.T, records []byte) {
		h := spoolHeader{writer: "0123456789abcdef", first: 1, prefix: testPrefix}
		file, crc := h.append(nil)
		file = append(file, mend(bytes.Clone(records), crc)...)
		dir := t.TempDir()
		l := openLog(t, memory.NewObjects(), dir, smallLimits)
		require.NoError(t, os.WriteFile(l.spool.file(h.writer, 0), file, 0o600))
		before, err := collectPoints(l.Read(t.Context(), nil))
		if err != nil && !errors.Is(err, azml.ErrDamaged) {
			require.NoError(t, err)
		}
		_, err = l.Recover(context.Background())
		require.NoError(t, err)
		left, err := filepath.Glob(filepath.Join(dir, "*"+spoolSuffix))
		require.NoError(t, err)
		require.Empty(t, left)
		after, _ := collectPoints(l.Read(t.Context(), nil))
		same(t, before, after)
	})
}

// mend sets the checksums of records.
func mend(records []byte, crc uint32) []byte {
	for rest := records; len(rest) > 4; {
		n, total := recordSize(rest)
		if n == 0 || total > len(rest) {
			break
		}
		crc = crcFrom(crc, rest[4:total])
		putUint32(rest, crc)
		rest = rest[total:]
	}
	return records
}

// FuzzValue feeds lists and tables.
func FuzzValue(f *testing.F) {
	f.Add(true, appendList(nil, []any{1.5, int64(-3), true, nil, "x"}))
	f.Add(false, appendTable(nil, []Column{{Name: "a", Values: []any{1.5}}, {Name: "b", Values: []any{"x"}}}))
	f.Fuzz(func(t *testing.T, list bool, blob []byte) {
		r := raw{typ: typeTable, blob: blob}
		if list {
			r.typ = typeList
		}
		v, err := decodeValue(r)
		if err != nil {
			return
		}
		if list {
			r.blob = appendList(nil, v.([]any))
		} else {
			r.blob = appendTable(nil, v.([]Column))
		}
		_, err = decodeValue(r)
		require.NoError(t, err)
	})
}

func isNotFound(err error) bool { return errors.Is(err, azml.ErrNotFound) }

// fuzzFixture is a small sealed log.
func fuzzFixture(f *testing.F) sealedFixture {
	f.Helper()
	objects := memory.NewObjects()
	l := Open(objects, testPrefix, &Options{SpoolDir: f.TempDir()})
	w, err := l.NewWriter()
	require.NoError(f, err)
	r := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		require.NoError(f, w.Append(randomPoint(r)))
	}
	require.NoError(f, w.Close(f.Context()))
	_, err = l.Seal(f.Context())
	require.NoError(f, err)
	s := sealedFixture{objects: map[string][]byte{}}
	for info, err := range objects.List(f.Context(), &backend.ListOptions{}) {
		require.NoError(f, err)
		obj, err := objects.Get(f.Context(), info.Key, &backend.GetOptions{})
		require.NoError(f, err)
		s.objects[info.Key], err = io.ReadAll(obj.Body)
		require.NoError(f, err)
	}
	return s
}

func (f sealedFixture) object(suffix string) []byte {
	for key, data := range f.objects {
		if strings.HasSuffix(key, suffix) {
			return data
		}
	}
	return nil
}

// patched puts bytes over others, at a place anywhere in the data.
func patched(data []byte, at uint32, patch []byte) []byte {
	out := bytes.Clone(data)
	copy(out[int(at)%len(out):], patch)
	return out
}

// FuzzParquet changes a Parquet object whose checksums are right.
func FuzzParquet(f *testing.F) {
	fixture := fuzzFixture(f)
	whole := fixture.object(parquetSuffix)
	f.Add(uint32(len(whole)-8), []byte{0xff, 0xff, 0xff, 0x7f})
	f.Add(uint32(len(whole)-300), []byte("\x15\x00\x15"))
	f.Add(uint32(4), []byte{0x15, 0x04, 0x15, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, at uint32, patch []byte) {
		readEverything(t, fixture.reseal(t, parquetSuffix, patched(whole, at, patch)))
	})
}

// FuzzDigest changes a digest whose checksums are right.
func FuzzDigest(f *testing.F) {
	fixture := fuzzFixture(f)
	whole := fixture.object(digestSuffix)
	f.Add(uint32(8), []byte{0xff, 0xff})
	f.Add(uint32(16), []byte{0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, at uint32, patch []byte) {
		readEverything(t, fixture.reseal(t, digestSuffix, patched(whole, at, patch)))
	})
}
