package localfs

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
)

// Dir is the store's folder.
func (s *Store) Dir() string { return s.dir }

// FillJournalAt makes the journal's files be full at a size.
func (s *Store) FillJournalAt(size int64) { s.journalSize = size }

// Begin locks and announces a change of the key, as every write does, and
// gives what ends it.
func (s *Store) Begin(ctx context.Context, key string) (end func(), err error) {
	l, err := s.lock(ctx, key)
	if err != nil {
		return nil, err
	}
	return l.unlock, s.announce(ctx, key)
}

// LockJournal holds the journal's lock, as another process would.
func (s *Store) LockJournal(t testing.TB) (unlock func()) {
	t.Helper()
	other := flock.New(filepath.Join(s.dir, filepath.FromSlash(s.journal.path)))
	require.NoError(t, other.Lock())
	return func() { require.NoError(t, other.Unlock()) }
}
