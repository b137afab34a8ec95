package backend

import (
	"context"
	"fmt"
	"io"
	"iter"
)

// DatastoreDriver opens the datastores of one type: data that lies where it
// lies, outside of the workspace's own stores. It is safe for concurrent use.
type DatastoreDriver interface {
	// Type names the kind, as it stands in records: Azure ML's name where it
	// has the kind, such as "AzureBlob".
	Type() string

	// Open makes the datastore ready for use. It looks at what it was given and
	// asks nothing over a network: what can't be reached is found by Check.
	// Errors: ErrInvalid, naming what is wrong with which member of source.
	Open(ctx context.Context, source DatastoreSource) (Datastore, error)
}

// Datastore is an opened datastore. It is also a [DataFiles], a [DataTables] or
// both. All methods are safe for concurrent use. No error, log or formatted
// value holds a credential.
type Datastore interface {
	io.Closer

	// Check really connects: it fails when nothing answers, the credential is
	// refused or what was named is not there. Errors: ErrUnavailable, ErrDenied,
	// ErrNotFound.
	Check(ctx context.Context) error
}

// DatastoreCreator is an optional interface of a Datastore whose place (a
// folder, a bucket, a container) can be made.
type DatastoreCreator interface {
	// Create makes the place. One that is there already is no error.
	Create(ctx context.Context) error
}

// DatastoreSource says where the data of a datastore is.
type DatastoreSource struct {
	// Type is the driver's Type.
	Type string
	// Connection are the facts of the connection, which anybody may see. Their
	// names are the driver's own.
	Connection map[string]string
	// Credentials are what must stay secret.
	Credentials Credentials
}

// Credentials are secret values by their names. They are shown as "REDACTED"
// wherever they are printed or encoded; read single ones.
type Credentials map[string]string

// Format implements fmt.Formatter, for every verb.
func (Credentials) Format(f fmt.State, _ rune) { fmt.Fprint(f, "REDACTED") }

// MarshalJSON gives "REDACTED".
func (Credentials) MarshalJSON() ([]byte, error) { return []byte(`"REDACTED"`), nil }

// DataFiles are files of a datastore, by their paths. Methods, types and rules
// are those of [Objects], so that every Objects is a DataFiles; but it promises
// less, since others write such data, too, and with other programs:
//
//   - A path that List yields may be anything a store takes: it may hold ".."
//     or "//". Whoever writes it to a disk must look at it first. Paths to Put
//     are legal keys ([ValidKey]).
//   - Prefixes and places to start after are UTF-8.
//   - The conditions IfMatch are never asked for. IfNoneMatch is honoured.
//   - An ETag changes with the content as far as the store can tell. A file that
//     is replaced while it is read in several ranges shows another ETag.
//   - A Put that was cut off leaves nothing that List yields.
//
// What a kind can't do (writing over HTTP, listing a web server) gives
// ErrUnsupported. A Body of Get may be an io.ReaderAt, too: then it is at hand
// and worth no caching.
type DataFiles interface {
	// Get opens a file or a range of it.
	Get(ctx context.Context, path string, opts *GetOptions) (*Object, error)

	// Put stores a whole file.
	Put(ctx context.Context, path string, content Content, opts *PutOptions) (Info, error)

	// Stat describes a file.
	Stat(ctx context.Context, path string) (Info, error)

	// Delete removes a file.
	Delete(ctx context.Context, path string, opts *DeleteOptions) error

	// List yields files in byte order of their paths.
	List(ctx context.Context, opts *ListOptions) iter.Seq2[Info, error]
}

// DataTables is a database that answers queries.
type DataTables interface {
	// Query runs one query that only reads, in a read-only transaction, and
	// gives its rows as they come. What is not exactly one SELECT, WITH, VALUES
	// or TABLE is ErrInvalid and not run. A done ctx ends the query; so does the
	// Table's Close, which the caller must call.
	// Errors: ErrInvalid with the database's words, ErrDenied, ErrUnavailable.
	Query(ctx context.Context, query string, args ...any) (Table, error)
}

// Table is the result of a query. It is not safe for concurrent use.
type Table interface {
	io.Closer

	// Columns gives the columns in their order. The slice is not to be changed.
	Columns() []Column

	// Next gives the next row, whose values are in the order of the columns and
	// the caller's own: nil, string, int64, float64, bool, time.Time or []byte.
	// The error is io.EOF behind the last row.
	Next() ([]any, error)
}

// Column is a column of a Table.
type Column struct {
	// Name is the column's name.
	Name string
	// DatabaseType is the type in the database's words, such as "NUMERIC";
	// empty when the database doesn't tell.
	DatabaseType string
	// Type says which Go type the values have, where it is the same for all.
	Type ColumnType
}

// ColumnType is the type of a column's values.
type ColumnType string

// The types of columns, Azure ML's names for types of tabular datasets.
const (
	// ColumnAny says that the values' types differ, or are not known before.
	ColumnAny ColumnType = ""
	// ColumnString has string values: also numbers that no float64 holds exactly.
	ColumnString ColumnType = "string"
	// ColumnLong has int64 values.
	ColumnLong ColumnType = "long"
	// ColumnFloat has float64 values.
	ColumnFloat ColumnType = "float"
	// ColumnBool has bool values.
	ColumnBool ColumnType = "bool"
	// ColumnDatetime has time.Time values.
	ColumnDatetime ColumnType = "datetime"
	// ColumnBytes has []byte values.
	ColumnBytes ColumnType = "bytes"
)
