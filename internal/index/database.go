package index

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml/internal/core"
)

// maxConns bounds the connections of a process to one index, and so its memory.
const maxConns = 4

// database is one database file, or one in memory, with its connections.
type database struct {
	path   string // empty in memory
	number int    // of the file
	owner  string // what inspect asks for
	slots  chan struct{}

	mu   sync.Mutex
	idle []*conn
}

// newMemory makes a database in memory, which has one connection.
func newMemory(owner string) (*database, error) {
	c, err := connect(":memory:")
	if err != nil {
		return nil, err
	}
	if err := c.setUp(owner, false); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &database{owner: owner, slots: make(chan struct{}, 1), idle: []*conn{c}}, nil
}

// acquire gives a connection, which goes back by release. It waits while all are
// in use.
func (d *database) acquire(ctx context.Context) (*conn, error) {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	d.mu.Lock()
	if n := len(d.idle); n > 0 {
		c := d.idle[n-1]
		d.idle = d.idle[:n-1]
		d.mu.Unlock()
		return c, nil
	}
	d.mu.Unlock()
	c, err := d.connect()
	if err != nil {
		<-d.slots
	}
	return c, err
}

func (d *database) connect() (*conn, error) {
	if _, err := os.Stat(d.path); err != nil { // SQLite would make an empty one
		return nil, err
	}
	c, err := connect(d.path)
	if err != nil {
		return nil, err
	}
	// The checkpoint that SQLite makes when the last connection is closed panics in
	// go-sqlite3 0.37 when another process has written meanwhile: it asks for memory
	// maps, which files with checksums have none of. Commits make checkpoints, too.
	_, err = c.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true)
	if err == nil {
		err = c.inspect(d.owner)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (d *database) release(c *conn) {
	d.mu.Lock()
	d.idle = append(d.idle, c)
	d.mu.Unlock()
	<-d.slots
}

// close waits for the connections that are in use and closes all.
func (d *database) close() error {
	for range cap(d.slots) {
		d.slots <- struct{}{}
	}
	var err error
	for _, c := range d.idle {
		err = errors.Join(err, c.Close())
	}
	d.idle = nil
	return err
}

// dir gives the folder of a workspace's index: two folders that hold copies of
// one workspace don't share it.
func dir(h core.Handle) string {
	name := h.Workspace().ID
	if place := h.Dir(); place != "" {
		if real, err := filepath.EvalSymlinks(place); err == nil {
			place = real
		}
		name += "-" + digest(place)
	}
	return filepath.Join(h.CacheDir(), "index", name)
}

const fileSuffix = ".db"

func (x *Index) file(number int) string {
	return filepath.Join(x.dir, fmt.Sprintf("%06d%s", number, fileSuffix))
}

// newest gives the number of the newest file, 0 when there is none.
func (x *Index) newest() (int, error) {
	numbers, err := x.files()
	newest := 0
	for _, n := range numbers {
		newest = max(newest, n)
	}
	return newest, err
}

// files gives the numbers of all files.
func (x *Index) files() ([]int, error) {
	entries, err := os.ReadDir(x.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var numbers []int
	for _, e := range entries {
		if digits, ok := strings.CutSuffix(e.Name(), fileSuffix); ok {
			if n, err := strconv.Atoi(digits); err == nil && n > 0 {
				numbers = append(numbers, n)
			}
		}
	}
	return numbers, err
}

const draftPrefix = "draft-"

// create makes the file of that number, whole, and removes older ones. Other
// processes may go on with these until they look again. The caller has the lock.
func (x *Index) create(number int) (err error) {
	x.sweep(number)
	draft := filepath.Join(x.dir, draftPrefix+core.NewID(4))
	defer os.Remove(draft)
	c, err := connect(draft)
	if err != nil {
		return err
	}
	if err := errors.Join(c.setUp(x.owner, true), c.Close()); err != nil {
		return err
	}
	return os.Rename(draft, x.file(number))
}

// sweep removes files before that number, and drafts that were not finished.
// What is left, as where open files can't be removed, goes another time.
func (x *Index) sweep(number int) {
	entries, err := os.ReadDir(x.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		digits, _, _ := strings.Cut(e.Name(), ".")
		if n, err := strconv.Atoi(digits); strings.HasPrefix(e.Name(), draftPrefix) || err == nil && n < number {
			_ = os.Remove(filepath.Join(x.dir, e.Name()))
		}
	}
}
