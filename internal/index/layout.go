package index

import (
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"
)

// layoutVersion is the version of the tables and of what is put into them: a
// file of another version is left behind.
const layoutVersion = "8"

// layout makes the tables. Kinds of items that are not to be found are negative.
// A value in number is a REAL, or the text 'NaN', which comes after all numbers;
// item and value are found by each other in one look at one b-tree. What live means is the type liveness,
// what state means the type State.
const layout = `
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE field(n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, entity TEXT NOT NULL, name TEXT NOT NULL, UNIQUE(kind, entity, name));
CREATE TABLE item(n INTEGER PRIMARY KEY, kind INTEGER NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL UNIQUE,
	etag TEXT NOT NULL, mark TEXT NOT NULL, live INTEGER NOT NULL, state INTEGER NOT NULL, UNIQUE(kind, id));
CREATE INDEX item_live ON item(key) WHERE live = 1;
CREATE TABLE doc(item INTEGER PRIMARY KEY, record BLOB NOT NULL, summaries BLOB NOT NULL, places BLOB NOT NULL);
CREATE TABLE number(field INTEGER NOT NULL, item INTEGER NOT NULL, value NOT NULL, PRIMARY KEY(field, item)) WITHOUT ROWID;
CREATE INDEX number_value ON number(field, value);
CREATE TABLE text(field INTEGER NOT NULL, item INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY(field, item)) WITHOUT ROWID;
CREATE INDEX text_value ON text(field, value)`

// nan is how the table of numbers has NaN.
const nan = "NaN"

// The names in the table meta.
const (
	metaLayout    = "layout"    // layoutVersion
	metaWorkspace = "workspace" // whose index it is
	metaCursor    = "cursor"    // of the change feed
	metaCompared  = "compared"  // when all was last compared, in nanoseconds since 1970
	metaShared    = "shared"    // the ETag of the shared index that was last read or written
	metaUnshared  = "unshared"  // how many items were read since
)

// errForeign says that a file is sound but not what we want.
var errForeign = errors.New("it was made by another version of azml or for another workspace")

// setUp makes the tables of a new database. Its pages get checksums where it is
// a file.
func (c *conn) setUp(workspace string, file bool) error {
	if file {
		if err := errors.Join(c.EnableChecksums("main"), c.Exec(`PRAGMA journal_mode = WAL`)); err != nil {
			return err
		}
	}
	return c.within(func() error {
		return errors.Join(c.Exec(layout), c.setMeta(metaLayout, layoutVersion), c.setMeta(metaWorkspace, workspace))
	})
}

// inspect looks whether the database is one that setUp made.
func (c *conn) inspect(workspace string) error {
	var checked string
	err := c.rows(func(s *sqlite3.Stmt) error { checked = s.ColumnText(0); return nil }, `PRAGMA checksum_verification`)
	if err != nil {
		return err
	}
	if checked != "1" { // its first page does not say that there are any
		return fmt.Errorf("%w: pages have no checksums", sqlite3.CORRUPT)
	}
	version, err := c.meta(metaLayout)
	if err != nil {
		return err
	}
	owner, err := c.meta(metaWorkspace)
	if err == nil && (version != layoutVersion || owner != workspace) {
		err = errForeign
	}
	return err
}

// meta reads a value of the table meta, "" when there is none.
func (c *conn) meta(name string) (value string, err error) {
	err = c.rows(func(s *sqlite3.Stmt) error { value = s.ColumnText(0); return nil }, `SELECT value FROM meta WHERE name = ?`, name)
	return value, err
}

func (c *conn) setMeta(name, value string) error {
	return c.exec(`INSERT INTO meta VALUES(?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`, name, value)
}
