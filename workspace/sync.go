package workspace

import (
	"context"

	"github.com/azml-go/azml/mirror"
)

// Sync brings what src has into dst and returns when that is done: environments,
// experiments, runs with their metrics, logs and files, registered and logged models
// with theirs, datasets, datastores, and the files of the workspace's own datastore;
// the last three unless opts ask for a part of src only. It can be called again at any time, after it was cut off
// too, and does what is left to do. The report is given with an error as well.
//
// Runs keep their IDs and versions of models their numbers. A run's number in its
// experiment is kept where it is free, else the run gets the next one; so does a
// version of an environment whose number is taken by another content, and the
// runs refer to that one. Of a run that goes on in src, dst gets a copy that each
// sync brings on; nobody ends it there.
//
// A state that goes on from that of dst replaces it. One that was changed on both
// sides is a conflict, as is a number that was given to a version on both: it is
// left as it is and listed, unless opts.Resolve decides otherwise. Metrics, logs
// and files are added to on both sides, and are brought over all the same. What
// can't be read whole in src is listed and not brought.
//
// Not brought: secrets and credentials of datastores, tokens, compute targets and
// endpoints, which belong to one workspace, and the audit log; the one of dst says
// what came from where.
//
// Errors: ErrInvalid when both are the same workspace or copies of one folder,
// ErrNotFound for what opts name; those of the stores.
func Sync(ctx context.Context, dst, src *Workspace, opts *mirror.Options) (*mirror.Report, error) {
	return mirror.Sync(ctx, dst.h, src.h, opts)
}

// Follow keeps dst a mirror of src until ctx is done, and then returns nil: it
// syncs everything and goes on with what changes in src. What is done there is here
// after Every and the time that bringing it takes, files of the own datastore within
// a minute. A store that doesn't answer is
// asked again, after a second and then less and less often, up to once a minute.
// Errors: those of Sync but ErrUnavailable and ErrConflict, after which a further try would end in the same way.
func Follow(ctx context.Context, dst, src *Workspace, opts *mirror.FollowOptions) error {
	return mirror.Follow(ctx, dst.h, src.h, opts)
}
