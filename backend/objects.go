package backend

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/azml-go/azml"
)

// Objects is an object store: a flat map from keys to bytes, with conditional
// writes. It is strongly consistent: a read or a list that begins after a
// write returned sees that write.
//
// A key is a non-empty UTF-8 string of at most [MaxKeyLen] bytes, its segments
// parted by "/", none of them empty, "." or ".." ([ValidKey]). Any other
// character may occur, upper and lower case differ, and every legal key
// round-trips. A key may be both an object and the prefix of others
// ("a" beside "a/b").
//
// All methods are safe for concurrent use by any number of processes.
type Objects interface {
	// Get opens the object, or a range of it. The bytes are those of one single
	// write (with Append: a prefix of the object at some moment), even when
	// the object is replaced while they are read. The caller closes Body.
	// Errors: ErrNotFound; ErrInvalid when Offset is negative or beyond the end.
	Get(ctx context.Context, key string, opts *GetOptions) (*Object, error)

	// Put stores the content as the whole object, all or nothing: no reader
	// ever sees a part, and a Put that fails changes nothing (unless the answer
	// was lost: then an ErrUnavailable may stand for a write that was done).
	// It returns when the object is durable. It reads content by ReadAt from
	// as many goroutines as it likes, and not after it has returned.
	// Errors: ErrExists when IfNoneMatch is set and the object is there,
	// ErrConflict when IfMatch names another ETag than the object has (or the
	// object is gone).
	Put(ctx context.Context, key string, content Content, opts *PutOptions) (Info, error)

	// Append adds data at the end of an object whose size is offset; offset 0
	// creates it. It returns when the data is durable. Objects that grow are
	// made by Append alone: whether Append works on an object that Put made is
	// the driver's choice, ErrUnsupported when not.
	// Errors: ErrConflict when the object's size is not offset (an object that
	// is not there has size 0).
	Append(ctx context.Context, key string, offset int64, data []byte) (Info, error)

	// Stat describes the object without reading it. Errors: ErrNotFound.
	Stat(ctx context.Context, key string) (Info, error)

	// Delete removes the object. Errors: ErrNotFound; ErrConflict when IfMatch
	// names another ETag than the object has.
	Delete(ctx context.Context, key string, opts *DeleteOptions) error

	// List yields the objects whose keys begin with opts.Prefix, in byte order
	// of their keys. It reads lazily, starts no goroutine, and can be ranged
	// again. An error comes once, as the last pair. Objects that are written
	// or deleted meanwhile may or may not be seen; all others are seen exactly
	// once. When one is deleted after another with the same key up to the last
	// "/", and a greater one with it, was written in place of it, at least one of both is
	// seen; not so with a delimiter, and with names behind that "/" of more than 64 bytes.
	// A prefix that matches nothing yields nothing.
	List(ctx context.Context, opts *ListOptions) iter.Seq2[Info, error]
}

// Content is what Put stores: bytes that can be read at any place, more than
// once and in parallel. *bytes.Reader and *io.SectionReader are Contents.
type Content interface {
	io.ReaderAt
	// Size is the number of bytes.
	Size() int64
}

// ETag is an opaque mark of one state of an object. It changes with every
// write of the object, even of the same bytes, also across deletion.
type ETag string

// Info describes an object.
type Info struct {
	// Key is the full key. In a listing with a delimiter, a common prefix is
	// given as its key with the delimiter at the end.
	Key string
	// Size is the number of bytes.
	Size int64
	// ETag marks this state of the object; empty for a common prefix.
	ETag ETag
	// Modified is the time of the last write, by the store's clock.
	Modified time.Time
	// Created is when an object was first written under the key, by the store's
	// clock, in what Get, List and Stat give; zero where the store doesn't keep it.
	Created time.Time
	// IsPrefix says that this is a common prefix and no object.
	IsPrefix bool
}

// Object is an opened object.
type Object struct {
	// Info describes the whole object, also when a range was asked for.
	Info Info
	// Body gives the bytes asked for. The caller closes it.
	Body io.ReadCloser
}

// GetOptions are the options of Objects.Get.
type GetOptions struct {
	// Offset is the first byte wanted. An offset equal to the size gives an
	// empty body.
	Offset int64
	// Length is the number of bytes wanted, 0 for all up to the end. A range
	// that reaches beyond the end is cut there.
	Length int64
}

// PutOptions are the options of Objects.Put. At most one condition is set.
type PutOptions struct {
	// IfNoneMatch makes Put create only: it fails with ErrExists when the
	// object is there.
	IfNoneMatch bool
	// IfMatch makes Put replace only the state with this ETag.
	IfMatch ETag
	// Before, when not nil, waits for what must last before the object does. Put
	// calls it before the object can be seen, and when it fails gives its error and
	// has stored nothing. What a store can make ready without being seen it makes
	// ready before. It may be called more than once, or not at all when Put fails
	// for another reason.
	Before func() error
}

// Wait calls Before, if there is one.
func (o *PutOptions) Wait() error {
	if o.Before == nil {
		return nil
	}
	return o.Before()
}

// DeleteOptions are the options of Objects.Delete.
type DeleteOptions struct {
	// IfMatch makes Delete remove only the state with this ETag.
	IfMatch ETag
}

// ListOptions are the options of Objects.List.
type ListOptions struct {
	// Prefix is the beginning of the keys wanted, any string, empty for all.
	Prefix string
	// Delimiter, when "/", folds all keys that share the part up to the first
	// delimiter after Prefix into one common prefix. Only "" and "/" are used.
	Delimiter string
	// StartAfter leaves out keys up to and including this one. With a
	// delimiter, a common prefix that is not after it is left out whole.
	StartAfter string
}

// Spooler is an optional interface of Objects for stores that lie on this
// machine's disks. Writers keep their write-ahead files there, so that they
// travel with the store and any process that opens it finds them.
type Spooler interface {
	// SpoolDir gives a directory of the local file system that belongs to the
	// store but is not part of its keys. It exists.
	SpoolDir() (string, error)
}

// MaxKeyLen is the greatest length of a key in bytes (Azure Blob Storage's
// limit for names). A store that spells some characters otherwise, or that has a
// prefix, may refuse keys that get too long by it with ErrInvalid; it takes all of
// up to half of this length behind its prefix.
const MaxKeyLen = 1024

// FilesPrefix begins the keys of files that other programs read and write as well:
// those of a workspace's own datastore. A store that spells keys in its own way
// leaves these as they are, behind its prefix. What it can't keep under such a name
// is ErrInvalid to write, and where names are no keys List passes them over.
const FilesPrefix = "data/"

// ValidKey tells whether key is one that every store must take. The error
// wraps ErrInvalid and says what is wrong with it.
func ValidKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: key is empty", azml.ErrInvalid)
	case len(key) > MaxKeyLen:
		return fmt.Errorf("%w: key of %d bytes is longer than %d: %.60q…", azml.ErrInvalid, len(key), MaxKeyLen, key)
	case !utf8.ValidString(key):
		return fmt.Errorf("%w: key is not UTF-8: %q", azml.ErrInvalid, key)
	case strings.ContainsRune(key, 0):
		return fmt.Errorf("%w: key holds a NUL character: %q", azml.ErrInvalid, key)
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == "" || segment == "." || segment == ".." {
			return fmt.Errorf("%w: key has the segment %q: %q", azml.ErrInvalid, segment, key)
		}
	}
	return nil
}
