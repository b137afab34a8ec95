package localfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// etagOf makes the ETag of a file's state.
func etagOf(fi fs.FileInfo) backend.ETag {
	return backend.ETag(fmt.Sprintf("%x-%x-%x", fi.ModTime().UnixNano(), fi.Size(), inode(fi)))
}

func infoOf(key string, fi fs.FileInfo) backend.Info {
	return backend.Info{Key: key, Size: fi.Size(), ETag: etagOf(fi), Modified: fi.ModTime()}
}

// clocksApart is by how much the clocks of this process and of the file system may differ
// before the file system's is the one that counts: the processes of a store may be on
// machines whose clocks are hours apart, and its times are to be one clock's.
const clocksApart = time.Minute

// stamp sets the modification time of the opened file, whose path is name: now, but later than
// the floors. File systems round times down, some to two seconds, so it looks
// what was stored and reaches further until that is later, too.
func (s *Store) stamp(f *os.File, name string, floors ...time.Time) (fs.FileInfo, error) {
	floor := time.Time{}
	for _, t := range floors {
		if t.After(floor) {
			floor = t
		}
	}
	var off time.Duration // of the file system's clock, when it is far from this process's
	for step := time.Nanosecond; ; step *= 10 {
		t := time.Now().Add(off)
		if earliest := floor.Add(step); t.Before(earliest) {
			t = earliest
		}
		if err := s.root.setTime(f, name, t); err != nil {
			return nil, err
		}
		fi, err := f.Stat()
		if err != nil {
			return nil, err
		}
		if there := changeTime(fi); off == 0 && !there.IsZero() && time.Since(there).Abs() > clocksApart {
			off = time.Until(there)
			continue
		}
		if fi.ModTime().After(floor) {
			return fi, nil
		}
		if step > time.Minute {
			return nil, fmt.Errorf("%w: this file system does not keep modification times", azml.ErrUnsupported)
		}
	}
}

// deleted gives the latest modification time of the objects that were deleted
// under the key's lock, zero when there was none.
func (s *Store) deleted(key string) (time.Time, error) {
	fi, err := s.root.Lstat(s.shard(key).path)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return fi.ModTime(), nil
}

// remember makes t, the modification time of an object that is about to be
// deleted, a floor for all that come. The caller holds the lock.
func (s *Store) remember(l *shard, t time.Time) error {
	fi, err := s.root.Lstat(l.path)
	if err != nil || !t.After(fi.ModTime()) {
		return err
	}
	return s.root.Chtimes(l.path, t, t)
}
