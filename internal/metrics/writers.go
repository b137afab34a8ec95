package metrics

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/azml-go/azml"
)

// WriterInfo describes one writer of a log.
type WriterInfo struct {
	// ID is the writer's ID.
	ID string
	// Segments is the number of its segments in the store, those not sealed.
	Segments int
	// Bytes is their size.
	Bytes int64
	// SpoolFiles is the number of its spool files on this machine.
	SpoolFiles int
	// Live says that somebody on this machine has its spool files in hand: the
	// writer itself, or a recovery.
	Live bool
}

// Writers lists all writers that the store or the spool folder knows, by ID.
// Cost: one listing, and a lock for each writer with spool files here.
func (l *Log) Writers(ctx context.Context) ([]WriterInfo, error) {
	files, err := l.spool.list()
	if err != nil {
		return nil, err
	}
	there, err := l.contents(ctx)
	if err != nil {
		return nil, err
	}
	infos := make(map[string]*WriterInfo)
	if there.sealed != nil {
		for id := range there.sealed.Writers {
			infos[id] = &WriterInfo{ID: id}
		}
	}
	for id, list := range there.segments {
		info := &WriterInfo{ID: id, Segments: len(list)}
		for _, s := range list {
			info.Bytes += s.info.Size
		}
		infos[id] = info
	}
	for id, numbers := range files {
		if infos[id] == nil {
			infos[id] = &WriterInfo{ID: id}
		}
		infos[id].SpoolFiles = len(numbers)
		if infos[id].Live, err = l.live(id); err != nil {
			return nil, err
		}
	}
	out := make([]WriterInfo, 0, len(infos))
	for _, info := range infos {
		out = append(out, *info)
	}
	slices.SortFunc(out, func(a, b WriterInfo) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

func (l *Log) live(writer string) (bool, error) {
	path := l.spool.lock(writer)
	if _, err := os.Stat(path); err != nil {
		return false, nil
	}
	lock, ok, err := tryLock(path)
	if err != nil {
		return false, fmt.Errorf("%w: lock spool files of metrics: %w", azml.ErrUnavailable, err)
	}
	if ok {
		lock.release()
	}
	return !ok, nil
}
