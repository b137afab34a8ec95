package index

import (
	"context"
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"github.com/azml-go/azml/internal/filter"
)

// conn is a connection to the database, with its prepared statements. It is for
// one goroutine at a time.
type conn struct {
	*sqlite3.Conn
	statements map[string]*sqlite3.Stmt
	fields     map[fieldKey]int64 // numbers of fields, which never change
	counts     map[string]counted // see count
}

// fieldKey is a field of a kind.
type fieldKey struct {
	kind  int
	field filter.Field
}

// The bounds of what a connection keeps.
const (
	maxStatements = 64
	maxFields     = 20_000
)

// settings are for every connection: readers and the one writer don't wait for
// each other; a commit can be lost with the machine's power, but not damage.
const settings = `
PRAGMA busy_timeout = 10000;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -16000;
PRAGMA temp_store = MEMORY;
PRAGMA trusted_schema = OFF`

// connect opens a connection to the database file, which is made if it is not
// there.
func connect(path string) (*conn, error) {
	c, err := sqlite3.OpenFlags(path, sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE)
	if err != nil {
		return nil, err
	}
	out := &conn{Conn: c, statements: map[string]*sqlite3.Stmt{}, fields: map[fieldKey]int64{}, counts: map[string]counted{}}
	err = errors.Join(c.Exec(settings),
		c.CreateFunction("matches", 2, sqlite3.DETERMINISTIC, matcher(filter.Like)),
		c.CreateFunction("imatches", 2, sqlite3.DETERMINISTIC, matcher(filter.ILike)))
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// matcher makes a function of SQL of (text, pattern). NULL gives NULL.
func matcher(like func(pattern, text string) bool) sqlite3.ScalarFunction {
	return func(ctx sqlite3.Context, arg ...sqlite3.Value) {
		if arg[0].Type() != sqlite3.NULL {
			ctx.ResultBool(like(arg[1].Text(), arg[0].Text()))
		}
	}
}

// Close closes the connection.
func (c *conn) Close() error {
	err := c.forget()
	return errors.Join(err, c.Conn.Close())
}

// forget closes all prepared statements.
func (c *conn) forget() error {
	var err error
	for _, s := range c.statements {
		err = errors.Join(err, s.Close())
	}
	clear(c.statements)
	return err
}

// rows runs a statement and calls each with every row of its result.
func (c *conn) rows(each func(*sqlite3.Stmt) error, sql string, args ...any) (err error) {
	s, err := c.prepare(sql)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Reset()) }()
	for i, arg := range args {
		if err := bind(s, i+1, arg); err != nil {
			return err
		}
	}
	for s.Step() {
		if each == nil {
			continue
		}
		if err := each(s); err != nil {
			return err
		}
	}
	return s.Err()
}

// exec runs a statement.
func (c *conn) exec(sql string, args ...any) error { return c.rows(nil, sql, args...) }

func (c *conn) prepare(sql string) (*sqlite3.Stmt, error) {
	if s, ok := c.statements[sql]; ok {
		return s, nil
	}
	if len(c.statements) >= maxStatements {
		if err := c.forget(); err != nil {
			return nil, err
		}
	}
	s, _, err := c.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT)
	if err != nil {
		return nil, err
	}
	c.statements[sql] = s
	return s, nil
}

func bind(s *sqlite3.Stmt, i int, arg any) error {
	switch arg := arg.(type) {
	case int:
		return s.BindInt(i, arg)
	case int64:
		return s.BindInt64(i, arg)
	case float64:
		return s.BindFloat(i, arg)
	case string:
		return s.BindText(i, arg)
	case []byte:
		return s.BindBlob(i, arg)
	}
	panic(fmt.Sprintf("index: bind a %T", arg))
}

// within runs do in a transaction.
func (c *conn) within(do func() error) (err error) {
	tx, err := c.BeginImmediate()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			clear(c.fields) // some of them were never committed
		}
	}()
	if err := do(); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// field gives the number of a field, 0 when nothing has it.
func (c *conn) field(kind int, f filter.Field) (n int64, err error) {
	key := fieldKey{kind, f}
	if n, ok := c.fields[key]; ok {
		return n, nil
	}
	err = c.rows(func(s *sqlite3.Stmt) error { n = s.ColumnInt64(0); return nil },
		`SELECT n FROM field WHERE kind = ? AND entity = ? AND name = ?`, kind, string(f.Entity), f.Key)
	if err == nil && n != 0 {
		if len(c.fields) >= maxFields {
			clear(c.fields)
		}
		c.fields[key] = n
	}
	return n, err
}

// makeField gives the number of a field, a new one when nothing has it.
func (c *conn) makeField(kind int, f filter.Field) (int64, error) {
	n, err := c.field(kind, f)
	if n != 0 || err != nil {
		return n, err
	}
	if err := c.exec(`INSERT INTO field(kind, entity, name) VALUES(?, ?, ?)`, kind, string(f.Entity), f.Key); err != nil {
		return 0, err
	}
	return c.field(kind, f)
}

// interruptible makes ctx end what the connection does until the function that
// it gives is called.
func (c *conn) interruptible(ctx context.Context) (done func()) {
	old := c.SetInterrupt(ctx)
	return func() { c.SetInterrupt(old) }
}
