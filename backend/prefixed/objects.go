// Package prefixed shows the part of a store whose keys or names begin with a
// prefix as a store of its own, so that several workspaces share one.
package prefixed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// objects is a store within a store. It is safe for concurrent use.
type objects struct {
	inner  backend.Objects
	prefix string
}

// New gives the objects of inner whose keys begin with prefix, by the rest of
// their keys. The prefix is any beginning of legal keys, usually with "/" at
// its end; keys that get longer than backend.MaxKeyLen by it are ErrInvalid.
// The result is a backend.Spooler when inner is, with a folder of its own, and
// a backend.ChangeFeed and a backend.Signer of its own keys.
func New(inner backend.Objects, prefix string) backend.Objects {
	o := &objects{inner, prefix}
	if spooler, ok := backend.As[backend.Spooler](inner); ok {
		return &spooling{o, spooler}
	}
	return o
}

// Unwrap gives the store inside, for backend.As.
func (o *objects) Unwrap() any { return o.inner }

func (o *objects) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	full, err := o.full(key)
	if err != nil {
		return nil, err
	}
	object, err := o.inner.Get(ctx, full, opts)
	if err != nil {
		return nil, err
	}
	object.Info = o.strip(object.Info)
	return object, nil
}

func (o *objects) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	full, err := o.full(key)
	if err != nil {
		return backend.Info{}, err
	}
	info, err := o.inner.Put(ctx, full, content, opts)
	return o.strip(info), err
}

func (o *objects) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	full, err := o.full(key)
	if err != nil {
		return backend.Info{}, err
	}
	info, err := o.inner.Append(ctx, full, offset, data)
	return o.strip(info), err
}

func (o *objects) Stat(ctx context.Context, key string) (backend.Info, error) {
	full, err := o.full(key)
	if err != nil {
		return backend.Info{}, err
	}
	info, err := o.inner.Stat(ctx, full)
	return o.strip(info), err
}

func (o *objects) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	full, err := o.full(key)
	if err != nil {
		return err
	}
	return o.inner.Delete(ctx, full, opts)
}

func (o *objects) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	inner := *opts
	inner.Prefix = o.prefix + opts.Prefix
	if opts.StartAfter != "" {
		inner.StartAfter = o.prefix + opts.StartAfter
	}
	return func(yield func(backend.Info, error) bool) {
		for info, err := range o.inner.List(ctx, &inner) {
			if !yield(o.strip(info), err) {
				return
			}
		}
	}
}

// Changes names the objects by the rest of their keys; their order stays.
func (o *objects) Changes(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
	feed, ok := backend.As[backend.ChangeFeed](o.inner)
	if !ok {
		return backend.Changes{Lost: true}, nil
	}
	changes, err := feed.Changes(ctx, cursor, &backend.ChangesOptions{Prefix: o.prefix + opts.Prefix})
	for i, key := range changes.Keys {
		changes.Keys[i] = strings.TrimPrefix(key, o.prefix)
	}
	return changes, err
}

// Sign makes a URL by the store inside.
func (o *objects) Sign(ctx context.Context, key string, opts *backend.SignOptions) (string, error) {
	signer, ok := backend.As[backend.Signer](o.inner)
	if !ok {
		return "", fmt.Errorf("%w: the store can't make URLs", azml.ErrUnsupported)
	}
	full, err := o.full(key)
	if err != nil {
		return "", err
	}
	return signer.Sign(ctx, full, opts)
}

func (o *objects) full(key string) (string, error) {
	if len(o.prefix)+len(key) > backend.MaxKeyLen {
		return "", fmt.Errorf("%w: key is longer than %d bytes with the prefix %q: %q", azml.ErrInvalid, backend.MaxKeyLen, o.prefix, key)
	}
	return o.prefix + key, nil
}

func (o *objects) strip(info backend.Info) backend.Info {
	info.Key = strings.TrimPrefix(info.Key, o.prefix)
	return info
}

// spooling is a prefixed store on this machine's disks.
type spooling struct {
	*objects
	spooler backend.Spooler
}

// SpoolDir gives the folder "prefixed-<hash>" in the spool folder of the store
// inside, where hash is the beginning of the SHA-256 of the prefix in
// hexadecimal digits: stores of different prefixes never meet.
func (s *spooling) SpoolDir() (string, error) {
	outer, err := s.spooler.SpoolDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(s.prefix))
	dir := filepath.Join(outer, "prefixed-"+hex.EncodeToString(sum[:16]))
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("%w: make spool folder: %w", azml.ErrUnavailable, err)
	}
	return dir, nil
}
