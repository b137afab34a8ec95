package azureblob

import (
	"context"
	"iter"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/azml-go/azml/backend"
)

// List yields the objects, page by page, in the order of the keys. Blobs whose names no
// key is spelled as are passed over.
func (s *Store) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return byBytes(func(yield func(backend.Info, error) bool) {
		for info, err := range s.pages(ctx, opts) {
			if err != nil {
				yield(backend.Info{}, s.explain(ctx, "list", opts.Prefix, err))
				return
			}
			var ours bool
			if info.Key, ours = s.unprefixed(info); !ours || !strings.HasPrefix(info.Key, opts.Prefix) || info.Key <= opts.StartAfter {
				continue
			}
			if !yield(info, nil) {
				return
			}
		}
	})
}

// unprefixed gives the key of what was listed, !ok when it is none of ours.
func (s *Store) unprefixed(info backend.Info) (key string, ok bool) {
	switch file, isFile := strings.CutPrefix(info.Key, spell(s.prefix, false)+backend.FilesPrefix); {
	case s.asIs:
		key, ok = strings.CutPrefix(info.Key, s.prefix)
	case isFile:
		key = backend.FilesPrefix + file
		ok = backend.ValidKey(strings.TrimSuffix(key, "/")) == nil
	default:
		if key, ok = keyOf(info.Key); ok {
			key, ok = strings.CutPrefix(key, s.prefix)
		}
	}
	return key, ok && strings.HasSuffix(key, "/") == info.IsPrefix
}

// pages yields everything that the service lists, by its name.
func (s *Store) pages(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	prefix := s.spell(opts.Prefix, false)
	if opts.Delimiter != "" {
		// No beginning is asked for: of common prefixes, the service leaves it
		// open what it means.
		return eachOf(ctx, s.client.NewListBlobsHierarchyPager(opts.Delimiter, &container.ListBlobsHierarchyOptions{Prefix: &prefix}),
			func(page container.ListBlobsHierarchyResponse) ([]*container.BlobPrefix, []*container.BlobItem) {
				return page.Segment.BlobPrefixes, page.Segment.BlobItems
			})
	}
	flat := &container.ListBlobsFlatOptions{Prefix: &prefix}
	if from := beforeSplit(s.spell(opts.StartAfter, false)); opts.StartAfter != "" && from != "" {
		flat.StartFrom = &from
	}
	return eachOf(ctx, s.client.NewListBlobsFlatPager(flat), func(page container.ListBlobsFlatResponse) ([]*container.BlobPrefix, []*container.BlobItem) {
		return nil, page.Segment.BlobItems
	})
}

// eachOf yields the common prefixes and the blobs of all pages, merged by name:
// a page has each of them sorted.
func eachOf[P any](ctx context.Context, pager *runtime.Pager[P], parts func(P) ([]*container.BlobPrefix, []*container.BlobItem)) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		for pager.More() {
			page, err := pager.NextPage(ctx)
			if err != nil {
				yield(backend.Info{}, err)
				return
			}
			prefixes, blobs := parts(page)
			for len(prefixes)+len(blobs) > 0 {
				var info backend.Info
				if len(blobs) == 0 || len(prefixes) > 0 && *prefixes[0].Name < *blobs[0].Name {
					info, prefixes = backend.Info{Key: *prefixes[0].Name, IsPrefix: true}, prefixes[1:]
				} else {
					p := blobs[0].Properties
					info, blobs = describe(*blobs[0].Name, p.ETag, p.LastModified, value(p.ContentLength)), blobs[1:]
					info.Created = value(p.CreationTime).UTC()
				}
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}
