package workspace

import (
	"context"
	"fmt"

	"github.com/azml-go/azml"
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
// Not brought: secrets, unless opts.Secrets asks for it, credentials of datastores, tokens,
// compute targets and endpoints, which belong to one workspace, and the audit log; the one of dst says
// what came from where.
//
// Errors: ErrInvalid when both are the same workspace or copies of one folder, and for
// opts.Secrets when nobody but dst's record names its key vault; ErrNotFound for what opts
// name; those of the stores, which say which of the two workspaces they are of.
func Sync(ctx context.Context, dst, src *Workspace, opts *mirror.Options) (*mirror.Report, error) {
	if opts != nil && opts.Secrets {
		if err := dst.checkReceiving(); err != nil {
			return nil, err
		}
	}
	return mirror.Sync(ctx, dst.h, src.h, opts)
}

// Follow keeps dst a mirror of src until ctx is done, and then returns nil: it
// syncs everything and goes on with what changes in src. What is done there is here
// after Every and the time that bringing it takes, files of the own datastore within
// a minute. A store that doesn't answer is
// asked again, after a second and then less and less often, up to once a minute.
// Errors: those of Sync but ErrUnavailable and ErrConflict, after which a further try would end in the same way.
func Follow(ctx context.Context, dst, src *Workspace, opts *mirror.FollowOptions) error {
	if opts != nil && opts.Secrets {
		if err := dst.checkReceiving(); err != nil {
			return err
		}
	}
	return mirror.Follow(ctx, dst.h, src.h, opts)
}

// checkReceiving gives an error when all secrets of another workspace would go to a vault
// that whoever writes to the object store may have put into the record.
func (w *Workspace) checkReceiving() error {
	if w.recorded == "" {
		return nil
	}
	return fmt.Errorf("%w: the record of workspace %s alone names the key vault %s, and whoever writes to the workspace may have put it there: if secrets are to go to that vault, name it by ?vault= in the workspace's URL", azml.ErrInvalid, w.Name(), w.recorded)
}
