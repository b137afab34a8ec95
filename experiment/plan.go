package experiment

import (
	"context"

	"github.com/azml-go/azml/internal/core"
	"github.com/azml-go/azml/internal/snapshot"
)

// PlanOptions are the options of PlanSnapshot.
type PlanOptions struct {
	// Largest is the number of the largest files and folders to list, 10 when
	// zero.
	Largest int
	// NoDefaults takes virtual environments and caches along, which are left
	// out otherwise.
	NoDefaults bool
}

// SnapshotPlan says what a snapshot of a folder would hold.
type SnapshotPlan struct {
	// Dir is the folder.
	Dir string `json:"dir"`
	// Files are the files and links that go into it, by path.
	Files []PlannedFile `json:"files"`
	// Size is the sum of their sizes in bytes.
	Size int64 `json:"size"`
	// Ignored is what a pattern or a built-in rule leaves out. A folder stands
	// for everything in it.
	Ignored []LeftOut `json:"ignored"`
	// Skipped is what can't be taken.
	Skipped []LeftOut `json:"skipped"`
	// Largest are the largest files and folders, the largest first.
	Largest []Offender `json:"largest"`
	// Warnings are sentences about things that go along in another way than
	// one might expect.
	Warnings []string `json:"warnings"`
}

// PlannedFile is a file that goes into a snapshot.
type PlannedFile struct {
	// Path is the path in the snapshot, parts joined by "/".
	Path string `json:"path"`
	// Size is the number of bytes.
	Size int64 `json:"size"`
}

// LeftOut is something that does not go into a snapshot.
type LeftOut struct {
	// Path is the path below the folder; a folder's ends in "/".
	Path string `json:"path"`
	// Reason is the pattern with its file and line, the rule, or the error.
	Reason string `json:"reason"`
}

// Offender is a large file or folder of a snapshot.
type Offender struct {
	// Path is the path below the folder; a folder's ends in "/".
	Path string `json:"path"`
	// Size is the number of bytes in it.
	Size int64 `json:"size"`
	// Files is the number of files in it, 1 for a file.
	Files int `json:"files"`
	// IgnoreLine is the line of an ignore file that leaves it out.
	IgnoreLine string `json:"ignoreLine"`
}

// PlanSnapshot lists what a submit from the folder would take along and what it
// would leave out, and stores nothing. Errors: ErrNotFound, ErrInvalid when
// dir is no folder.
func PlanSnapshot(ctx context.Context, dir string, opts *PlanOptions) (_ *SnapshotPlan, err error) {
	defer core.Wrap(&err, "plan snapshot of", "folder", dir)
	if opts == nil {
		opts = &PlanOptions{}
	}
	scanned, err := snapshot.Scan(ctx, dir, &snapshot.Options{NoDefaults: opts.NoDefaults})
	if err != nil {
		return nil, err
	}
	most := opts.Largest
	if most == 0 {
		most = 10
	}
	plan := &SnapshotPlan{Dir: dir, Size: scanned.Size, Warnings: scanned.Warnings}
	for _, e := range scanned.Entries {
		if !e.Mode.IsDir() {
			plan.Files = append(plan.Files, PlannedFile{Path: e.Path, Size: e.Size})
		}
	}
	for _, i := range scanned.Ignored {
		plan.Ignored = append(plan.Ignored, LeftOut{Path: folderPath(i.Path, i.IsDir), Reason: i.Reason})
	}
	for _, s := range scanned.Skipped {
		plan.Skipped = append(plan.Skipped, LeftOut{Path: s.Path, Reason: s.Reason})
	}
	for _, o := range scanned.Largest(most) {
		plan.Largest = append(plan.Largest, Offender{Path: folderPath(o.Path, o.IsDir), Size: o.Size, Files: o.Files, IgnoreLine: o.IgnoreLine()})
	}
	return plan, nil
}

func folderPath(path string, isDir bool) string {
	if isDir {
		return path + "/"
	}
	return path
}
