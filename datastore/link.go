package datastore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// LinkOptions are the options of Datastore.Link.
type LinkOptions struct {
	// Expires is how long the link is good, an hour by default, at most seven
	// days.
	Expires time.Duration
	// Write makes a link by which the file can be written, by PUT, and not read.
	Write bool
}

// Link makes a URL by which whoever has it can read the file, or write it, with
// any HTTP client, without an account, until it expires. A path that ends in "/"
// is for all files below a folder, where a store can limit a URL to one. It does
// not look whether the file is there. The URL is a secret as long as it is good,
// and can't be taken back. Errors: ErrUnsupported for kinds that make none,
// ErrInvalid, ErrDenied; ErrNotFound when the datastore's credentials are gone.
func (d *Datastore) Link(ctx context.Context, path string, opts *LinkOptions) (link string, err error) {
	defer d.h.Operation(&ctx, &err, "make a link to a file of", kind, d.Name())()
	sign := backend.SignOptions{Expires: time.Hour}
	if opts != nil {
		sign.Write = opts.Write
		if opts.Expires != 0 {
			sign.Expires = opts.Expires
		}
	}
	if err := backend.ValidKey(strings.TrimSuffix(path, "/")); err != nil {
		return "", err
	}
	err = d.withFiles(ctx, func(files backend.DataFiles) error {
		signer, ok := backend.As[backend.Signer](files)
		if !ok {
			return fmt.Errorf("%w: a datastore of type %s makes no links", azml.ErrUnsupported, d.record.Type)
		}
		link, err = signer.Sign(ctx, path, &sign)
		return about(path, err)
	})
	return link, err
}
