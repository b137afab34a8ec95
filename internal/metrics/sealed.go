package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/internal/record"
)

// The names of the objects of sealed metrics, below the log's prefix. Points
// and digests have random names; the record says which count.
const (
	sealedName    = "sealed.json"
	parquetSuffix = ".parquet"
	digestSuffix  = ".digest"
)

// maxSealedRecord bounds what is read as a record, in bytes.
const maxSealedRecord = 64 << 20

// sealed is the record of sealed metrics as it was read.
type sealed struct {
	record.SealedMetrics
	etag backend.ETag
	data []byte
}

// writer tells how far a writer's points are sealed; nothing is when s is nil.
func (s *sealed) writer(id string) record.SealedWriter {
	if s == nil {
		return record.SealedWriter{}
	}
	return s.Writers[id]
}

func (l *Log) sealedKey() string { return l.prefix + sealedName }

// readSealed reads the record, nil when there is none.
func (l *Log) readSealed(ctx context.Context) (*sealed, error) {
	obj, err := l.objects.Get(ctx, l.sealedKey(), &backend.GetOptions{})
	if errors.Is(err, azml.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read metrics %s: %w", l.sealedKey(), err)
	}
	defer obj.Body.Close()
	data, err := io.ReadAll(io.LimitReader(obj.Body, maxSealedRecord))
	if err != nil {
		return nil, fmt.Errorf("%w: read metrics %s: %w", azml.ErrUnavailable, l.sealedKey(), err)
	}
	s := &sealed{etag: obj.Info.ETag, data: data}
	if err := record.Decode(data, &s.SealedMetrics); err != nil {
		return nil, fmt.Errorf("%s: %w", l.sealedKey(), err)
	}
	return s, nil
}

func (l *Log) sealedObject(ctx context.Context, o record.SealedObject) *checkedObject {
	c := &checkedObject{ctx: ctx, objects: l.objects, key: l.prefix + o.Name, stored: o, ahead: blockSize}
	if strings.HasSuffix(o.Name, parquetSuffix) {
		c.ahead = readAhead
	}
	return c
}

// groupCache keeps the last row groups read: the writers of a log are read at
// about the same time.
type groupCache struct {
	log    *Log
	sealed *sealed
	names  []string
	ctx    context.Context //nolint:containedctx // it lives for one pass of a reader
	reader *tableReader
	groups [2]loadedGroup
}

// loadedGroup is a row group with the rows of each writer in order.
type loadedGroup struct {
	number int // from 1, 0 for none
	table  *table
	rows   map[string][]int32
}

func (c *groupCache) open() (err error) {
	if c.reader == nil {
		c.reader, err = c.log.openTables(c.ctx, c.sealed, c.names)
	}
	return err
}

func (c *groupCache) group(number int) (loadedGroup, error) {
	for _, g := range c.groups {
		if g.number == number {
			return g, nil
		}
	}
	t, err := c.reader.group(number - 1)
	if err != nil {
		return loadedGroup{}, err
	}
	g := loadedGroup{number: number, table: t, rows: t.byWriter()}
	c.groups[1], c.groups[0] = c.groups[0], g
	return g, nil
}

// sealedSource gives the sealed points of one writer.
type sealedSource struct {
	cache *groupCache
	group loadedGroup
	at    int // in the group's rows of the writer
}

func (s *sealedSource) next(_ context.Context, c *cursor, e *entry) (bool, error) {
	for {
		for rows := s.group.rows[c.writer]; s.at < len(rows); {
			row := int(rows[s.at])
			s.at++
			if uint64(s.group.table.seqs[row]) > c.seq {
				s.group.table.point(row, e)
				s.given(c, row)
				return true, nil
			}
		}
		more, err := s.load(c)
		if !more || err != nil {
			return false, err
		}
	}
}

// given tells the cursor about the row that comes next. Where only some
// metrics are read, those between are no gap.
func (s *sealedSource) given(c *cursor, row int) {
	if s.cache.names != nil {
		c.seq = uint64(s.group.table.seqs[row]) - 1
	}
	if latest, ok := s.group.table.after[row]; ok {
		c.latest = max(c.latest, latest)
	}
	c.place = func() (string, int64) { return s.cache.reader.obj.key, 0 }
}

// load goes on with the next row group that has something new, false at the
// end.
func (s *sealedSource) load(c *cursor) (bool, error) {
	if err := s.cache.open(); err != nil {
		return false, err
	}
	for number := s.group.number + 1; number <= s.cache.reader.groups(); number++ {
		s.group = loadedGroup{number: number}
		greatest, err := s.cache.reader.maxSeq(number - 1)
		if err != nil {
			return false, err
		}
		if greatest <= c.seq {
			continue
		}
		s.group, err = s.cache.group(number)
		s.at = 0
		return err == nil, err
	}
	return false, s.end(c)
}

func (s *sealedSource) end(c *cursor) error {
	w := s.cache.sealed.writer(c.writer)
	if s.cache.names == nil && c.seq < w.Seq {
		return damagedAt(s.cache.reader.obj.key, 0, fmt.Errorf("points %d to %d of writer %s are missing", c.seq+1, w.Seq, c.writer))
	}
	c.seq, c.latest = max(c.seq, w.Seq), max(c.latest, w.Latest)
	return nil
}
