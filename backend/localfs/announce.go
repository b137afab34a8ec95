package localfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/azml-go/azml"
)

// patience is how long a writer waits for the journal's lock, which others hold
// for microseconds unless they were stopped, and how long a reader waits for
// writes under way.
const patience = time.Second

// announce names the key in the journal before it is changed. The caller holds
// the lock of the key's shard, and keeps it until the change can be seen or is
// given up; so the journal needs no word of its end.
//
// A change that can't be announced, such as a deletion on a full disk, goes on
// without: the journal is removed instead, so that no reader trusts it. Only
// when that fails, too, the change must not be made.
func (s *Store) announce(ctx context.Context, key string) error {
	err := s.inJournal(ctx, func(j *journal, end place) error { return j.add(key, end) })
	if err == nil || ctx.Err() != nil {
		return err
	}
	s.log.Warn("can't write the journal of changes, and removes it: who follows it must list everything once", "dir", s.dir, "error", err)
	if dropped := s.dropJournal(); dropped != nil {
		return fmt.Errorf("announcing the change: %w; removing the journal instead: %w", err, dropped)
	}
	return nil
}

// dropJournal removes the journal: no position is known any more. Writes that
// were announced in it are still under way, and hold their locks.
func (s *Store) dropJournal() error {
	var failed error
	for _, name := range []string{currentFile, beforeFile} {
		if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// inJournal does something with the current file of the journal, which ends at
// end, under its lock.
func (s *Store) inJournal(ctx context.Context, do func(j *journal, end place) error) error {
	waiting, cancel := context.WithTimeoutCause(ctx, patience, errStuck)
	defer cancel()
	if err := s.acquire(waiting, &s.journal); err != nil {
		return err
	}
	defer s.journal.unlock()
	j, end, err := s.currentJournal()
	if err != nil {
		return err
	}
	defer j.f.Close()
	return do(j, end)
}

// errStuck is why waiting for the journal's lock ends.
var errStuck = fmt.Errorf("%w: the journal's lock is held by a process that does not go on", azml.ErrUnavailable)

// currentJournal opens the file that entries go to. It makes one when there is
// none; one that follows when the file is full; and begins anew when the file
// does not end as it should, such as when a writer was killed in the middle of
// an entry. The caller holds the journal's lock.
func (s *Store) currentJournal() (*journal, place, error) {
	j, err := s.openJournal(currentFile, os.O_RDWR|os.O_APPEND)
	var before [16]byte
	if err == nil {
		var end place
		if end, err = j.end(); err == nil && j.size < s.journalSize {
			return j, end, nil
		}
		before = j.id
		_ = j.f.Close()
	}
	switch {
	case err == nil:
		err = s.root.Rename(currentFile, beforeFile)
	case errors.Is(err, errJournal):
		s.log.Info("begins the journal of changes anew, for it does not end as it should", "dir", s.dir)
		before, err = [16]byte{}, nil
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err == nil {
		err = s.makeJournal(newHeader(before, time.Now()))
	}
	if err != nil {
		return nil, place{}, err
	}
	if j, err = s.openJournal(currentFile, os.O_RDWR|os.O_APPEND); err != nil {
		return nil, place{}, err
	}
	return j, j.start(), nil
}

// makeJournal begins a journal file, in the place of a damaged one if there is
// one.
func (s *Store) makeJournal(header []byte) error {
	f, err := s.root.OpenFile(nextFile, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err = s.root.MkdirAll(journalDir, 0o700); err == nil {
			f, err = s.root.OpenFile(nextFile, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		}
	}
	if err != nil {
		return err
	}
	_, err = f.Write(header)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return s.root.Rename(nextFile, currentFile)
}

// add writes an entry at the end, in one write.
func (j *journal) add(key string, end place) error {
	entry := appendEntry(make([]byte, 0, len(key)+entryExtra), end.crc, key, time.Now())
	_, err := j.f.Write(entry)
	return err
}
