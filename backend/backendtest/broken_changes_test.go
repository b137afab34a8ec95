package backendtest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/azml-go/azml/backend"
)

// notes is a feed made of the notes that a store's methods take. It is right
// when each is taken after the change and before the method returns.
type notes struct {
	backend.Objects

	mu   sync.Mutex
	keys []string
}

func (n *notes) note(key string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.keys = append(n.keys, key)
}

func (n *notes) put(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	defer n.note(key)
	return n.Put(ctx, key, c, opts)
}

func (n *notes) append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	defer n.note(key)
	return n.Append(ctx, key, offset, data)
}

func (n *notes) delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	defer n.note(key)
	return n.Delete(ctx, key, opts)
}

// after gives the notes from a number on, which is in the cursor.
func (n *notes) after(cursor string) (keys []string, end int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	text, marked := strings.CutPrefix(cursor, "note number ")
	start, err := strconv.Atoi(text)
	if !marked || err != nil || start < 0 || start > len(n.keys) {
		return nil, len(n.keys), false
	}
	return slices.Clone(n.keys[start:]), len(n.keys), true
}

func (n *notes) feed(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
	keys, end, ok := n.after(cursor)
	keys = slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, opts.Prefix) })
	slices.Sort(keys)
	return backend.Changes{Keys: slices.Compact(keys), Cursor: fmt.Sprint("note number ", end), Lost: !ok}, ctx.Err()
}

func (n *notes) hooks() hooks {
	return hooks{put: n.put, append: n.append, delete: n.delete, feed: n.feed}
}

// brokenFeeds are stores whose feed has one mistake.
func brokenFeeds() []brokenStore {
	feed := func(name string, spoil func(n *notes, h *hooks)) brokenStore {
		return brokenStore{name, "changes", func(s backend.Objects) hooks {
			n := &notes{Objects: s}
			h := n.hooks()
			spoil(n, &h)
			return h
		}}
	}
	return append(brokenCursors(feed),
		feed("names keys before the change only", func(n *notes, h *hooks) {
			h.put = func(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
				n.note(key)
				pause()
				return n.Put(ctx, key, c, opts)
			}
		}),
		feed("names keys soon after the write", func(n *notes, h *hooks) {
			h.put = func(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
				defer func() {
					go func() {
						pause()
						n.note(key)
					}()
				}()
				return n.Put(ctx, key, c, opts)
			}
		}),
		feed("forgets deletes", func(n *notes, h *hooks) { h.delete = n.Delete }),
		feed("forgets appends", func(n *notes, h *hooks) { h.append = n.Append }),
		feed("forgets what is created", func(n *notes, h *hooks) {
			h.put = func(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
				if opts.IfNoneMatch {
					return n.Put(ctx, key, c, opts)
				}
				return n.put(ctx, key, c, opts)
			}
		}),
		feed("keys unsorted", func(n *notes, h *hooks) { h.feed = n.changed(slices.Reverse) }),
		feed("keys repeated", func(n *notes, h *hooks) {
			h.feed = func(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
				changes, err := n.feed(ctx, cursor, opts)
				changes.Keys = slices.Sorted(slices.Values(slices.Concat(changes.Keys, changes.Keys)))
				return changes, err
			}
		}),
		feed("prefix by whole segments", func(n *notes, h *hooks) {
			h.feed = func(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
				return n.feed(ctx, cursor, &backend.ChangesOptions{Prefix: opts.Prefix[:strings.LastIndex(opts.Prefix, "/")+1]})
			}
		}),
		feed("ignores cancellation", func(n *notes, h *hooks) {
			h.feed = func(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
				return n.feed(context.WithoutCancel(ctx), cursor, opts)
			}
		}),
	)
}

// changed spoils the keys that the feed names.
func (n *notes) changed(spoil func([]string)) func(context.Context, string, *backend.ChangesOptions) (backend.Changes, error) {
	return func(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
		changes, err := n.feed(ctx, cursor, opts)
		spoil(changes.Keys)
		return changes, err
	}
}

func brokenCursors(feed func(string, func(*notes, *hooks)) brokenStore) []brokenStore {
	return []brokenStore{
		feed("cursor skips concurrent writes", func(n *notes, h *hooks) {
			h.feed = func(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
				changes, err := n.feed(ctx, cursor, opts)
				pause()
				_, end, _ := n.after("")
				changes.Cursor = fmt.Sprint("note number ", end)
				return changes, err
			}
		}),
		feed("unknown cursors are the beginning", func(n *notes, h *hooks) {
			h.feed = func(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
				if _, _, ok := n.after(cursor); !ok && cursor != "" {
					cursor = "note number 0"
				}
				return n.feed(ctx, cursor, opts)
			}
		}),
		feed("unknown cursors are an error", func(n *notes, h *hooks) {
			h.feed = func(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
				if _, _, ok := n.after(cursor); !ok && cursor != "" {
					return backend.Changes{}, fmt.Errorf("unknown cursor %q", cursor)
				}
				return n.feed(ctx, cursor, opts)
			}
		}),
		feed("each key is told once", func(n *notes, h *hooks) {
			var told atomic.Int64
			h.feed = func(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
				if _, _, ok := n.after(cursor); ok {
					cursor = fmt.Sprint("note number ", told.Load())
				}
				changes, err := n.feed(ctx, cursor, opts)
				_, end, _ := n.after("")
				told.Store(int64(end))
				return changes, err
			}
		}),
		feed("never silent", func(n *notes, h *hooks) {
			h.feed = func(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
				changes, err := n.feed(ctx, cursor, opts)
				if !changes.Lost {
					changes.Cursor = cursor
				}
				return changes, err
			}
		}),
		feed("always lost", func(n *notes, h *hooks) {
			h.feed = func(ctx context.Context, _ string, opts *backend.ChangesOptions) (backend.Changes, error) {
				return n.feed(ctx, "", opts)
			}
		}),
		feed("keys beside lost", func(n *notes, h *hooks) {
			h.feed = func(ctx context.Context, cursor string, opts *backend.ChangesOptions) (backend.Changes, error) {
				changes, err := n.feed(ctx, cursor, opts)
				if changes.Lost {
					changes.Keys = []string{"a"}
				}
				return changes, err
			}
		}),
	}
}
