package localfs

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// shard is the lock of all keys with the same hash, or of the journal. The
// channel keeps this process's goroutines apart (and in order), the file lock
// processes.
type shard struct {
	path string // within the root
	mine chan struct{}
	file *flock.Flock
}

func (l *shard) init(dir, name string) {
	l.path = lockDir + "/" + name
	l.mine = make(chan struct{}, 1)
	l.file = flock.New(filepath.Join(dir, filepath.FromSlash(l.path)))
}

// lock waits for the lock of the key's shard; the caller calls unlock.
func (s *Store) lock(ctx context.Context, key string) (*shard, error) {
	l := s.shard(key)
	return l, s.acquire(ctx, l)
}

func (s *Store) acquire(ctx context.Context, l *shard) error {
	select {
	case l.mine <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("waiting for the lock: %w", context.Cause(ctx))
	}
	err := s.lockFile(ctx, l)
	if err != nil {
		<-l.mine
	}
	return err
}

// lockFile polls, for a blocking flock(2) could not be given up when the
// context ends. The pauses grow from 50 µs to 2 ms, about the time that the
// holder needs for its two syncs.
func (s *Store) lockFile(ctx context.Context, l *shard) error {
	pause := 50 * time.Microsecond
	for made := false; ; {
		ok, err := l.file.TryLock()
		if errors.Is(err, fs.ErrNotExist) && !made {
			if err = s.root.MkdirAll(lockDir, 0o700); err == nil {
				made = true
				continue
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return s.root.gone()
		}
		if ok || err != nil {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("waiting for the lock: %w", context.Cause(ctx))
		}
		pause = min(2*pause, 2*time.Millisecond)
	}
}

// unlock gives the lock back. Closing the file frees it even if unlocking
// failed, so there is no error to report.
func (l *shard) unlock() {
	_ = l.file.Unlock()
	<-l.mine
}

func (s *Store) shard(key string) *shard {
	return &s.shards[byte(crc32.ChecksumIEEE([]byte(key)))]
}
