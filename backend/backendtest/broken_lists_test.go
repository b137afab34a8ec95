package backendtest

import (
	"context"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
)

// pause lets other goroutines run.
func pause() {
	for range 20 {
		runtime.Gosched()
	}
}

type lister = func(context.Context, *backend.ListOptions) iter.Seq2[backend.Info, error]

// reordered gives what the store lists in another order.
func reordered(s backend.Objects, change func([]backend.Info) []backend.Info) lister {
	return func(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
		return func(yield func(backend.Info, error) bool) {
			all := []backend.Info{}
			for info, err := range s.List(ctx, opts) {
				if err != nil {
					yield(info, err)
					return
				}
				all = append(all, info)
			}
			for _, info := range change(all) {
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}

// byFileName sorts folder by folder, as a walk over files does.
func byFileName(all []backend.Info) []backend.Info {
	slices.SortStableFunc(all, func(a, b backend.Info) int {
		return slices.Compare(strings.Split(a.Key, "/"), strings.Split(b.Key, "/"))
	})
	return all
}

func brokenLists() []brokenStore {
	return []brokenStore{
		{"lists unsorted", "list", func(s backend.Objects) hooks {
			return hooks{list: reordered(s, func(all []backend.Info) []backend.Info { slices.Reverse(all); return all })}
		}},
		{"lists what is there of the names that were", "list", func(s backend.Objects) hooks {
			return hooks{list: reordered(s, func(all []backend.Info) []backend.Info {
				pause()
				return slices.DeleteFunc(all, func(info backend.Info) bool {
					_, err := s.Stat(context.Background(), info.Key)
					return !info.IsPrefix && err != nil
				})
			})}
		}},
		{"lists by file name", "list", func(s backend.Objects) hooks { return hooks{list: reordered(s, byFileName)} }},
		{"common prefixes repeated", "list", func(s backend.Objects) hooks {
			return hooks{list: reordered(s, func(all []backend.Info) (more []backend.Info) {
				for _, info := range all {
					if more = append(more, info); info.IsPrefix {
						more = append(more, info)
					}
				}
				return more
			})}
		}},
		{"StartAfter inclusive", "list", func(s backend.Objects) hooks {
			return hooks{list: func(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
				o := *opts
				if n := len(o.StartAfter); n > 0 {
					o.StartAfter = o.StartAfter[:n-1] + string(rune(o.StartAfter[n-1]-1)) + "\uffff"
				}
				return s.List(ctx, &o)
			}}
		}},
		{"can't be ranged again", "list", func(s backend.Objects) hooks {
			return hooks{list: func(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
				list, used := s.List(ctx, opts), atomic.Bool{}
				return func(yield func(backend.Info, error) bool) {
					if !used.Swap(true) {
						list(yield)
					}
				}
			}}
		}},
		{"deleted folders stay", "list", func(s backend.Objects) hooks {
			return hooks{delete: func(ctx context.Context, key string, opts *backend.DeleteOptions) error {
				err := s.Delete(ctx, key, opts)
				if i := strings.LastIndex(key, "/"); err == nil && i > 0 {
					_, err = s.Put(ctx, key[:i]+"/.folder", strings.NewReader(""), &backend.PutOptions{})
				}
				return err
			}}
		}},
		{"no error for a missing prefix when cancelled", "cancellation", func(s backend.Objects) hooks {
			return hooks{list: func(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
				return s.List(context.WithoutCancel(ctx), opts)
			}}
		}},
	}
}

func brokenKeys() []brokenStore {
	mangle := func(change func(string) string) func(backend.Objects) hooks {
		return func(backend.Objects) hooks { return hooks{key: change} }
	}
	return []brokenStore{
		{"folds case", "keys", mangle(strings.ToLower)},
		{"trims spaces", "keys", mangle(strings.TrimSpace)},
		{"normalises unicode", "keys", mangle(func(k string) string { return strings.ReplaceAll(k, "e\u0301", "é") })},
		{"decodes escapes", "keys", mangle(func(k string) string { return strings.ReplaceAll(k, "%20", " ") })},
		{"no object beside a prefix", "keys", func(s backend.Objects) hooks {
			return hooks{put: func(ctx context.Context, key string, c backend.Content, opts *backend.PutOptions) (backend.Info, error) {
				for range s.List(ctx, &backend.ListOptions{Prefix: key + "/"}) {
					return backend.Info{}, azml.ErrInvalid
				}
				return s.Put(ctx, key, c, opts)
			}}
		}},
	}
}
