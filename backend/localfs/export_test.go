package localfs

import "context"

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
