package localfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/azml-go/azml/backend"
)

// Changes names the keys that were announced in the journal since the cursor.
// It costs the reading of their entries, and one look at a lock for each shard
// (of 256) among them; nothing when nothing changed, whatever the store's size.
// With Lost it waits for the writes under way, up to a second. Files that are
// changed by other means than this package are not named: who does that removes
// the folder ".localfs/journal" afterwards, after which every cursor is lost.
// Cursors also end with the machine's uptime, and with copying or restoring the
// folder; on systems other than Linux and macOS, with the process.
// Errors: ErrClosed.
func (s *Store) Changes(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
	list, next, err := s.since(ctx, cursor)
	switch {
	case errors.Is(err, os.ErrClosed), ctx.Err() != nil:
		return backend.Changes{}, s.feedError(ctx, err)
	case err != nil:
		return s.lost(ctx)
	}
	keys := make([]string, 0, len(list))
	for _, n := range list {
		if strings.HasPrefix(n.key, opts.Prefix) {
			keys = append(keys, n.key)
		}
	}
	slices.Sort(keys)
	return backend.Changes{Keys: slices.Compact(keys), Cursor: s.settled(list, next).String()}, nil
}

// feedError gives the class of an error that is no loss of a place.
func (s *Store) feedError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("changes in %q: %w", s.dir, ctx.Err())
	}
	hint, class := classify(err)
	return fmt.Errorf("%w: changes in %q%s: %w", class, s.dir, hint, err)
}

// since reads the entries behind the cursor, and gives where they end. What is
// wrong while others write is looked at again when they can't; what is wrong
// then stays so, and the journal is removed.
func (s *Store) since(ctx context.Context, cursor string) (list []notice, end position, err error) {
	if err = ctx.Err(); err != nil {
		return nil, end, err
	}
	at, err := parsePosition(cursor)
	if err != nil {
		return nil, end, err
	}
	list, end, err = s.follow(at)
	if !errors.Is(err, errJournal) && !errors.Is(err, fs.ErrNotExist) {
		return list, end, err
	}
	err = s.inJournal(ctx, func(*journal, place) error {
		list, end, err = s.follow(at)
		if errors.Is(err, errJournal) {
			s.log.Warn("removes the damaged journal of changes: who follows it must list everything once", "dir", s.dir)
			err = errors.Join(err, s.dropJournal())
		}
		return err
	})
	return list, end, err
}

// follow reads the entries from a position on, in one file or two.
func (s *Store) follow(at position) ([]notice, position, error) {
	current, err := s.openJournal(currentFile, os.O_RDONLY)
	if err != nil {
		return nil, at, err
	}
	defer current.f.Close()
	if _, err = current.end(); err != nil {
		return nil, at, err
	}
	if originOf(current) == at.origin {
		return current.notices(nil, at.place)
	}
	before, err := s.openJournal(beforeFile, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		err = errUnknown
	}
	if err != nil {
		return nil, at, err
	}
	defer before.f.Close()
	if originOf(before) != at.origin || before.id != current.before {
		return nil, at, errUnknown
	}
	list, _, err := before.notices(nil, at.place)
	if err != nil {
		return nil, at, err
	}
	return current.notices(list, current.start())
}

// settled gives the place before which all announced changes are over: the
// first entry whose write is still under way, or else the end. A write holds
// the lock of its shard until it is over, and the system gives the lock back
// when a process dies. One write at a time can hold it, so only the last entry
// of a shard can be of one under way.
func (s *Store) settled(list []notice, end position) position {
	seen := map[*shard]bool{}
	for _, n := range slices.Backward(list) {
		l := s.shard(n.key)
		if !seen[l] && l.held() {
			end = n.at
		}
		seen[l] = true
	}
	return end
}

// held tells whether somebody holds the lock, or may do so. It makes no file.
func (l *shard) held() bool {
	probe := flock.New(l.file.Path(), flock.SetFlag(os.O_RDONLY))
	free, err := probe.TryRLock()
	if free {
		_ = probe.Unlock() // closing the file frees it even if this failed
	}
	return !free && !errors.Is(err, fs.ErrNotExist)
}

// lost gives the place from which who compares a listing can go on. Writes
// that are under way may have been announced in another journal or in none, so
// it waits until each lock was seen free once.
func (s *Store) lost(ctx context.Context) (backend.Changes, error) {
	end, err := s.end(ctx)
	if err == nil {
		err = s.quiet(ctx)
	}
	switch {
	case errors.Is(err, os.ErrClosed), ctx.Err() != nil:
		return backend.Changes{}, s.feedError(ctx, err)
	case err != nil:
		s.log.Debug("there is no place to follow the changes from", "dir", s.dir, "error", err)
		return backend.Changes{Lost: true}, nil
	}
	return backend.Changes{Lost: true, Cursor: end.String()}, nil
}

// end gives the end of the journal, which is made when it is not there. It
// tries without the lock first, for the folder may be one that can only be read.
func (s *Store) end(ctx context.Context) (end position, err error) {
	if j, err := s.openJournal(currentFile, os.O_RDONLY); err == nil {
		defer j.f.Close()
		if at, err := j.end(); err == nil {
			return position{originOf(j), at}, nil
		}
	}
	err = s.inJournal(ctx, func(j *journal, at place) error {
		end = position{originOf(j), at}
		return nil
	})
	return end, err
}

// errBusy says that a write was under way all the time.
var errBusy = errors.New("a write takes longer than a reader waits")

// quiet waits until every lock was seen free.
func (s *Store) quiet(ctx context.Context) error {
	deadline := time.Now().Add(patience)
	for i := range s.shards {
		for s.shards[i].held() {
			if time.Now().After(deadline) {
				return fmt.Errorf("%w: %s is held", errBusy, s.shards[i].path)
			}
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}
