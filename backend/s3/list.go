package s3

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/azml-go/azml/backend"
)

// pageSize is how many entries a page of a listing has at most.
const pageSize = 1000

// List yields objects in byte order of their paths, a request for each thousand.
func (s *Store) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	return func(yield func(backend.Info, error) bool) {
		list := minio.ListObjectsOptions{Prefix: s.prefix + opts.Prefix, Recursive: opts.Delimiter == "", MaxKeys: pageSize}
		if opts.StartAfter != "" {
			list.StartAfter = s.prefix + opts.StartAfter
		}
		window := window{yield: func(info backend.Info) bool {
			// Folders are found again behind a path in them.
			return opts.StartAfter != "" && info.Key <= opts.StartAfter || yield(info, nil)
		}}
		for object := range s.client.ListObjectsIter(ctx, s.bucket, list) {
			if object.Err != nil {
				if window.flush() {
					yield(backend.Info{}, s.fail(ctx, object.Err))
				}
				return
			}
			if !window.add(s.entry(object, opts.Delimiter != "")) {
				return
			}
		}
		if window.flush() && ctx.Err() != nil { // which the iterator takes for its end
			yield(backend.Info{}, ctx.Err())
		}
	}
}

// entry describes what was listed. The Key is empty for a mark of a folder.
func (s *Store) entry(object minio.ObjectInfo, folders bool) backend.Info {
	info := s.info(object)
	if !strings.HasSuffix(info.Key, "/") || object.Size > 0 {
		return info
	}
	if isPrefix := folders && object.ETag == ""; isPrefix {
		return backend.Info{Key: info.Key, IsPrefix: true}
	}
	return backend.Info{}
}

// window puts entries in order: a page has first all objects and then all
// common prefixes, where pages follow each other in order.
type window struct {
	yield    func(backend.Info) bool
	held     []backend.Info
	prefixes bool // the end of held are prefixes
}

// add takes the next entry and yields those that nothing can come before any
// more. It is false when no more are wanted.
func (w *window) add(info backend.Info) bool {
	if w.prefixes && !info.IsPrefix { // a new page
		if !w.flush() {
			return false
		}
	}
	w.prefixes = info.IsPrefix
	if info.Key != "" {
		w.held = append(w.held, info)
	}
	const most = 2 * pageSize
	if w.prefixes || len(w.held) < most {
		return true
	}
	for _, old := range w.held[:pageSize] { // they are of an earlier page
		if !w.yield(old) {
			return false
		}
	}
	w.held = slices.Delete(w.held, 0, pageSize)
	return true
}

// flush yields all that is held. It is false when no more are wanted.
func (w *window) flush() bool {
	slices.SortFunc(w.held, func(a, b backend.Info) int { return strings.Compare(a.Key, b.Key) })
	for _, info := range w.held {
		if !w.yield(info) {
			return false
		}
	}
	w.held, w.prefixes = w.held[:0], false
	return true
}
