package localfs

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// The store's own folders. No key leads there, for a leading dot is escaped.
const (
	ownDir   = ".localfs"
	tempDir  = ownDir + "/tmp"
	lockDir  = ownDir + "/locks"
	spoolDir = ownDir + "/spool"
)

// leftover is the age at which a temporary file must be of a dead process.
const leftover = time.Hour

// Store is an object store in a folder. It is safe for concurrent use by any
// number of goroutines, and any number of stores in any number of processes
// may share a folder. It starts no goroutine that outlives a call.
type Store struct {
	dir    string
	root   *tree
	log    *slog.Logger
	shards [256]shard
	blocks sync.Pool   // of copyBlock bytes
	locked atomic.Bool // create by renaming, for links don't work here

	journal     shard
	journalSize int64 // at which a file of the journal is full
}

// Options are the options of New.
type Options struct {
	// Logger is told about left-over files that are cleaned up. Default: none.
	Logger *slog.Logger
}

var (
	_ backend.Objects    = (*Store)(nil)
	_ backend.Spooler    = (*Store)(nil)
	_ backend.ChangeFeed = (*Store)(nil)
)

// New opens the store in the folder dir, which is made (with mode 0700) when
// it is not there. In a folder that can't be written, reading works and
// writing gives ErrDenied. The caller closes the store. Errors: ErrInvalid
// when dir is empty or not a folder, ErrDenied, ErrUnavailable.
func New(dir string, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if dir == "" {
		return nil, fmt.Errorf("%w: the folder of the store has no name", azml.ErrInvalid)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, openError(dir, err)
	}
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return nil, openError(dir, err)
	}
	root, err := openTree(dir)
	if err != nil {
		return nil, openError(dir, err)
	}
	s := &Store{dir: dir, root: root, log: opts.Logger, journalSize: journalSize}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.blocks.New = func() any { return new(make([]byte, copyBlock)) }
	s.locked.Store(!hasInodes)
	for i := range s.shards {
		s.shards[i].init(dir, fmt.Sprintf("%02x", i))
	}
	s.journal.init(dir, "journal")
	s.sweep()
	return s, nil
}

func openError(dir string, err error) error {
	hint, class := classify(err)
	if errors.Is(err, syscall.ENOTDIR) {
		class, hint = azml.ErrInvalid, " (it is not a folder: name another one)"
	}
	return fmt.Errorf("%w: open store folder %q%s: %w", class, dir, hint, err)
}

// Close gives up the folder. Opened objects stay readable; every later call
// gives ErrClosed, but for Close, which does nothing then.
func (s *Store) Close() error { return s.root.Close() }

// SpoolDir gives the folder for write-ahead files, and makes it (mode 0700)
// when it is not there. Errors: ErrDenied, ErrUnavailable, ErrClosed.
func (s *Store) SpoolDir() (string, error) {
	err := s.root.MkdirAll(spoolDir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		return "", s.root.gone()
	}
	if err != nil {
		hint, class := classify(err)
		return "", fmt.Errorf("%w: make spool folder in %q%s: %w", class, s.dir, hint, err)
	}
	return filepath.Join(s.dir, filepath.FromSlash(spoolDir)), nil
}

// sweep removes temporary files that dead processes left. It is housekeeping:
// what fails is only logged.
func (s *Store) sweep() {
	entries, err := fs.ReadDir(s.root.FS(), tempDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("can't look for left-over temporary files", "dir", s.dir, "error", err)
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil || time.Since(fi.ModTime()) < leftover {
			continue
		}
		if err := s.root.Remove(tempDir + "/" + e.Name()); err == nil {
			s.log.Info("removed left-over temporary file", "dir", s.dir, "name", e.Name())
		}
	}
}
