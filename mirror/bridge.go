package mirror

import (
	"context"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/metrics"
)

// Sync is workspace.Sync.
func Sync(ctx context.Context, dst, src core.Handle, opts *Options) (_ *Report, err error) {
	s, err := newSyncer(dst, src, opts)
	if err != nil {
		return nil, err
	}
	defer dst.Operation(&ctx, &err, "sync", "workspace", src.Workspace().Name)()
	err = s.ofSide(s.all(ctx))
	return s.result(), err
}

// Follow is workspace.Follow.
func Follow(ctx context.Context, dst, src core.Handle, opts *FollowOptions) (err error) {
	if opts == nil {
		opts = &FollowOptions{}
	}
	s, err := newSyncer(dst, src, &opts.Options)
	if err != nil {
		return err
	}
	defer core.Wrap(&err, "follow", "workspace", src.Workspace().Name)
	s.carriers = map[string]*metrics.Carrier{}
	f := &follower{s: s, every: opts.Every, passed: opts.Passed, open: map[string]bool{}, empty: s.report}
	if f.passed == nil {
		f.passed = func(*Report, error) {}
	}
	return f.run(ctx)
}
