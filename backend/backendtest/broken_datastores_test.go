package backendtest

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/memory"
)

// brokenFiles is a datastore with one fault.
type brokenFiles struct {
	backend.DataFiles
	get  func(ctx context.Context, path string, opts *backend.GetOptions) (*backend.Object, error)
	put  func(ctx context.Context, path string, content backend.Content, opts *backend.PutOptions) (backend.Info, error)
	list func(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error]
}

func (b brokenFiles) Get(ctx context.Context, path string, opts *backend.GetOptions) (*backend.Object, error) {
	if b.get != nil {
		return b.get(ctx, path, opts)
	}
	return b.DataFiles.Get(ctx, path, opts)
}

func (b brokenFiles) Put(ctx context.Context, path string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if b.put != nil {
		return b.put(ctx, path, content, opts)
	}
	return b.DataFiles.Put(ctx, path, content, opts)
}

func (b brokenFiles) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	if b.list != nil {
		return b.list(ctx, opts)
	}
	return b.DataFiles.List(ctx, opts)
}

// relisted lists with changed options, and changes what comes.
func relisted(good backend.DataFiles, ask func(backend.ListOptions) backend.ListOptions, change func([]backend.Info) []backend.Info) brokenFiles {
	return brokenFiles{DataFiles: good, list: func(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
		return func(yield func(backend.Info, error) bool) {
			asked := ask(*opts)
			var all []backend.Info
			for info, err := range good.List(ctx, &asked) {
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
	}}
}

func TestSuiteCatchesBrokenFiles(t *testing.T) {
	t.Parallel()
	same := func(opts backend.ListOptions) backend.ListOptions { return opts }
	for name, tt := range map[string]struct {
		group string
		make  func(good backend.DataFiles) backend.DataFiles
	}{
		"create replaces": {"write", func(good backend.DataFiles) backend.DataFiles {
			return brokenFiles{DataFiles: good, put: func(ctx context.Context, path string, content backend.Content, _ *backend.PutOptions) (backend.Info, error) {
				return good.Put(ctx, path, content, &backend.PutOptions{})
			}}
		}},
		"size is that of the range": {"read", func(good backend.DataFiles) backend.DataFiles {
			return brokenFiles{DataFiles: good, get: func(ctx context.Context, path string, opts *backend.GetOptions) (*backend.Object, error) {
				object, err := good.Get(ctx, path, opts)
				if err == nil && opts.Length > 0 {
					object.Info.Size = min(object.Info.Size-opts.Offset, opts.Length)
				}
				return object, err
			}}
		}},
		"ranges are ignored": {"read", func(good backend.DataFiles) backend.DataFiles {
			return brokenFiles{DataFiles: good, get: func(ctx context.Context, path string, opts *backend.GetOptions) (*backend.Object, error) {
				return good.Get(ctx, path, &backend.GetOptions{Offset: opts.Offset})
			}}
		}},
		"ETags are of paths": {"read", func(good backend.DataFiles) backend.DataFiles {
			return brokenFiles{DataFiles: good, get: func(ctx context.Context, path string, opts *backend.GetOptions) (*backend.Object, error) {
				object, err := good.Get(ctx, path, opts)
				if err == nil {
					object.Info.ETag = backend.ETag(path)
				}
				return object, err
			}}
		}},
		"folders come after files": {"list", func(good backend.DataFiles) backend.DataFiles {
			return relisted(good, same, func(all []backend.Info) []backend.Info {
				slices.SortStableFunc(all, func(a, b backend.Info) int {
					return strings.Count(a.Key, "/") - strings.Count(b.Key, "/")
				})
				return all
			})
		}},
		"only the first page": {"list", func(good backend.DataFiles) backend.DataFiles {
			return relisted(good, same, func(all []backend.Info) []backend.Info { return all[:min(len(all), 1000)] })
		}},
		"starts at the place to start after": {"list", func(good backend.DataFiles) backend.DataFiles {
			return relisted(good, func(opts backend.ListOptions) backend.ListOptions {
				opts.StartAfter = strings.TrimRight(opts.StartAfter, "B/")
				return opts
			}, func(all []backend.Info) []backend.Info { return all })
		}},
		"ends quietly when it is canceled": {"context", func(good backend.DataFiles) backend.DataFiles {
			return brokenFiles{DataFiles: good, list: func(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
				return func(yield func(backend.Info, error) bool) {
					for info, err := range good.List(ctx, opts) {
						if err != nil || !yield(info, nil) {
							return
						}
					}
				}
			}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names, _ := failures(t.Context(), dataFilesGroups(), tt.group, func() DataFilesHarness {
				return DataFilesHarness{Files: tt.make(memory.NewObjects())}
			})
			require.Contains(t, names, tt.group)
		})
	}
}
