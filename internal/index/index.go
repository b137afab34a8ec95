package index

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/core"
)

// Index is the search index of an opened workspace. It is safe for concurrent
// use.
type Index struct {
	h     core.Handle
	dir   string
	owner string
	gate  *gate

	mu sync.Mutex
	db *database // nil before the first use
}

// Of gives the index of the workspace, which is opened at its first use and
// closed with the workspace.
func Of(h core.Handle) (*Index, error) {
	return core.Own(h, func(h core.Handle) (*Index, error) {
		d := dir(h)
		return &Index{h: h, dir: d, owner: filepath.Base(d), gate: newGate()}, nil
	})
}

// Close closes the database files.
func (x *Index) Close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db == nil {
		return nil
	}
	err := x.db.close()
	x.db = nil
	return err
}

// Refresh brings the index up to date with all that was done before the call.
// With all, it compares everything, as it does by itself once a day.
func (x *Index) Refresh(ctx context.Context, all bool) error {
	if all {
		return x.healing(ctx, func(ctx context.Context) error { return x.update(ctx, true) })
	}
	return x.gate.pass(ctx, func(ctx context.Context) error {
		return x.healing(ctx, func(ctx context.Context) error { return x.update(ctx, false) })
	})
}

// maxHeals bounds how often in a row a new database is begun; the last one is in
// memory.
const maxHeals = 3

// healing does something with the database. When that turns out to be damaged,
// or of no use, another takes its place and it is done again.
func (x *Index) healing(ctx context.Context, do func(ctx context.Context) error) error {
	for heals := 0; ; heals++ {
		err := do(ctx)
		if err == nil || ctx.Err() != nil || heals == maxHeals || !useless(err) {
			return classified(ctx, err)
		}
		if err := x.replace(ctx, err, heals+1 == maxHeals); err != nil {
			return classified(ctx, err)
		}
	}
}

// damaged tells whether the error is that of a file whose bytes are not what
// was written, or which is not there any more.
func damaged(err error) bool {
	for _, code := range []error{sqlite3.CORRUPT, sqlite3.NOTADB, sqlite3.IOERR_DATA, sqlite3.IOERR_SHORT_READ, sqlite3.SCHEMA, sqlite3.ERROR, sqlite3.CANTOPEN,
		sqlite3.CONSTRAINT, sqlite3.MISMATCH, errForeign, errDecode, fs.ErrNotExist} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}

// useless tells whether the error means that there can be no answer from this
// database, but from another.
func useless(err error) bool {
	if errors.Is(err, errStore) || errors.Is(err, sqlite3.BUSY) || errors.Is(err, sqlite3.INTERRUPT) {
		return false
	}
	return damaged(err) || ofSQLite(err) || errors.Is(err, errFolder)
}

// ofSQLite tells whether the error is one of SQLite's, with a text or bare.
func ofSQLite(err error) bool {
	var code sqlite3.ErrorCode
	return errors.As(err, &code)
}

// classified gives errors of SQLite a class.
func classified(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case ofSQLite(err), errors.Is(err, errFolder):
		return fmt.Errorf("%w: search index: %w", azml.ErrUnavailable, err)
	}
	return err
}

var (
	// errFolder says that the folder can't be used.
	errFolder = errors.New("the folder of the search index can't be written")
	// errDecode says that what was read is not what is ever written.
	errDecode = errors.New("what was indexed can't be read")
	// errStore marks errors of the workspace's own store.
	errStore = errors.New("read the workspace")
)

// database gives the newest database. It makes the first one.
func (x *Index) database(ctx context.Context) (*database, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.db != nil && x.db.path == "" {
		return x.db, nil
	}
	newest, err := x.newest()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errFolder, err)
	case x.db != nil && x.db.number == newest:
		return x.db, nil
	case x.db != nil && newest == 0:
		return nil, fmt.Errorf("%s was removed: %w", x.file(x.db.number), fs.ErrNotExist)
	case newest == 0:
		err := x.locked(ctx, func() error {
			if newest, err = x.newest(); err != nil || newest > 0 {
				return err // another process was faster
			}
			newest = 1
			x.h.Logger().Info("building the search index", "folder", x.dir)
			return x.create(newest)
		})
		if err != nil {
			return nil, err
		}
	}
	old := x.db
	x.db = &database{path: x.file(newest), number: newest, owner: x.owner, slots: make(chan struct{}, maxConns)}
	if old != nil {
		return x.db, old.close()
	}
	return x.db, nil
}

// replace puts a new database in the place of one that did not work, for reason:
// a file where that may help, unless inMemory says that it has not.
func (x *Index) replace(ctx context.Context, reason error, inMemory bool) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	old := x.db
	x.db = nil
	if old != nil {
		if err := old.close(); err != nil {
			x.h.Logger().Debug("a search index that is given up could not be closed", "error", err)
		}
	}
	if !inMemory && damaged(reason) && (old == nil || old.path != "") {
		err := x.locked(ctx, func() error { return x.supersede(old, reason) })
		if err == nil || ctx.Err() != nil {
			return err
		}
		reason = err
	}
	x.h.Logger().Warn("the search index can't be kept in its folder: this process builds one in memory", "folder", x.dir, "error", reason)
	var err error
	x.db, err = newMemory(x.owner)
	return err
}

// supersede begins a new file, unless another process has done so already.
func (x *Index) supersede(old *database, reason error) error {
	newest, err := x.newest()
	if err != nil || old != nil && newest > old.number {
		return err
	}
	if old != nil {
		newest = max(newest, old.number)
	}
	x.h.Logger().Warn("the search index is damaged: it is built again", "file", x.file(newest), "error", reason)
	return x.create(newest + 1)
}

// lockPause is the time between two tries to get the lock.
const lockPause = 2 * time.Millisecond

// locked calls do while no other process, nor another Index of this one, is
// within locked.
func (x *Index) locked(ctx context.Context, do func() error) error {
	if err := os.MkdirAll(x.dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", errFolder, err)
	}
	lock := flock.New(filepath.Join(x.dir, "lock"), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, lockPause); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", errFolder, err)
	}
	return errors.Join(do(), lock.Unlock())
}

// digest gives a short digest of a text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}
