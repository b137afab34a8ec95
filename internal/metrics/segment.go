package metrics

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

const segmentSuffix = ".seg"

// segmentKey is the key of a writer's segment. Numbers count up from 1.
func segmentKey(prefix, writer string, number int) string {
	return fmt.Sprintf("%s%s-%06d%s", prefix, writer, number, segmentSuffix)
}

// segment is a segment object that a listing has shown.
type segment struct {
	number int
	info   backend.Info
}

func parseSegmentKey(prefix, key string) (writer string, number int, ok bool) {
	base, ok := strings.CutSuffix(strings.TrimPrefix(key, prefix), segmentSuffix)
	if !ok {
		return "", 0, false
	}
	writer, digits, ok := strings.Cut(base, "-")
	n, err := strconv.ParseUint(digits, 10, 31)
	return writer, int(n), ok && err == nil && n > 0 && validWriterID(writer)
}

// contents is what the store has of a log.
type contents struct {
	segments map[string][]segment // of each writer, in order
	sealed   *sealed              // nil when nothing is sealed
	others   []backend.Info       // objects of sealed metrics, also such as nothing names
}

// contents lists the log's objects and reads the record of sealed metrics. The
// record's key comes after those of segments, so whoever misses a segment
// because it was sealed meanwhile sees the record.
func (l *Log) contents(ctx context.Context) (*contents, error) {
	c := &contents{segments: make(map[string][]segment)}
	sealed := false
	for info, err := range l.objects.List(ctx, &backend.ListOptions{Prefix: l.prefix}) {
		if err != nil {
			return nil, fmt.Errorf("list objects of metrics: %w", err)
		}
		id, number, ok := parseSegmentKey(l.prefix, info.Key)
		switch {
		case ok:
			c.segments[id] = append(c.segments[id], segment{number: number, info: info})
		case info.Key == l.sealedKey():
			sealed = true
		case strings.HasSuffix(info.Key, parquetSuffix), strings.HasSuffix(info.Key, digestSuffix):
			c.others = append(c.others, info)
		}
	}
	if !sealed {
		return c, nil
	}
	var err error
	c.sealed, err = l.readSealed(ctx)
	return c, err
}

// segmentReader gives the frames of one segment from an offset on.
type segmentReader struct {
	key  string
	off  int64 // where the next frame begins
	end  int64 // the size of the object
	body io.ReadCloser
	in   *bufio.Reader
}

func openSegment(ctx context.Context, objects backend.Objects, key string, off int64) (*segmentReader, error) {
	obj, err := objects.Get(ctx, key, &backend.GetOptions{Offset: off})
	if err != nil {
		return nil, fmt.Errorf("read metrics %s: %w", key, err)
	}
	return &segmentReader{key: key, off: off, end: obj.Info.Size, body: obj.Body, in: bufio.NewReaderSize(obj.Body, 64<<10)}, nil
}

func (r *segmentReader) close() { _ = r.body.Close() }

// header reads the next frame's header. It gives false at the end, which is
// also where a last frame was cut off.
func (r *segmentReader) header() (h frameHeader, ok bool, err error) {
	var b [frameHeaderSize]byte
	n, err := io.ReadFull(r.in, b[:])
	switch {
	case err != nil && r.off+int64(n) < r.end:
		return h, false, r.broken(err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		known := min(n, len(frameMagic))
		if string(b[:known]) != frameMagic[:known] {
			return h, false, r.damaged(errors.New("no frame begins here"))
		}
		return h, false, nil
	case err != nil:
		return h, false, r.broken(err)
	}
	if h, ok = parseFrameHeader(b[:]); !ok {
		return h, false, r.damaged(errors.New("no frame begins here"))
	}
	return h, true, nil
}

// skip passes over the payload of the frame whose header was read. It gives
// false when the payload was cut off.
func (r *segmentReader) skip(h frameHeader) (bool, error) {
	n, err := io.CopyN(io.Discard, r.in, int64(h.length))
	return r.passed(h, n, err)
}

// payload reads the payload of the frame whose header was read. It gives false
// when it was cut off.
func (r *segmentReader) payload(h frameHeader) ([]byte, bool, error) {
	var b bytes.Buffer // grows with what is there, whatever the header says
	b.Grow(int(min(h.length, 1<<20)))
	n, err := io.CopyN(&b, r.in, int64(h.length))
	ok, err := r.passed(h, n, err)
	return b.Bytes(), ok, err
}

func (r *segmentReader) passed(h frameHeader, n int64, err error) (bool, error) {
	if err != nil && (!errors.Is(err, io.EOF) || r.off+frameHeaderSize+n < r.end) {
		return false, r.broken(err)
	}
	if n < int64(h.length) {
		return false, nil
	}
	r.off += frameHeaderSize + n
	return true, nil
}

// broken says that the store gave less than there is, which is not to be taken
// for a frame that was cut off.
func (r *segmentReader) broken(err error) error {
	return fmt.Errorf("%w: read metrics %s: %w", azml.ErrUnavailable, r.key, err)
}

// damaged names the place of the frame at off.
func (r *segmentReader) damaged(err error) error { return damagedAt(r.key, r.off, err) }

func damagedAt(object string, off int64, err error) error {
	return fmt.Errorf("%w: %s at offset %d: %w", azml.ErrDamaged, object, off, err)
}
