package main

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/azml-go/azml/model"
	"github.com/azml-go/azml/run"
)

// stopwatch gives a function that prints what was done, and how long it took
// since the step before.
func stopwatch() func(format string, args ...any) {
	last := time.Now()
	return func(format string, args ...any) {
		fmt.Printf("%5d ms  %s\n", time.Since(last).Milliseconds(), fmt.Sprintf(format, args...))
		last = time.Now()
	}
}

// show prints what one would look at next.
func show(ctx context.Context, r *run.Run, m *model.Model, dir string) error {
	fmt.Print("\nHow the training went\n\n")
	for _, metric := range []string{"loss", "accuracy"} {
		if err := plot(ctx, r, metric); err != nil {
			return err
		}
	}
	showLineage(r, m)
	if err := showFiles(dir); err != nil {
		return err
	}
	fmt.Printf(`
Go on with the command line (in the folder of the library)

  export AZML_WORKSPACE=%[1]s
  go run ./cmd/azml run list
  go run ./cmd/azml run metrics %[2]s
  go run ./cmd/azml model show %[3]s
  go run ./cmd/azml endpoint list
  go run ./cmd/azml workspace fsck
`, dir, r.ID(), m.ID())
	return nil
}

// showLineage prints where the model comes from.
func showLineage(r *run.Run, m *model.Model) {
	fmt.Printf("Where the model %s comes from\n\n", m.ID())
	d := m.Details()
	fmt.Printf("  %-28s %s of experiment %s\n", "run", d.RunID, d.Experiment)
	for _, key := range slices.Sorted(maps.Keys(d.Lineage)) {
		fmt.Printf("  %-28s %s\n", key, d.Lineage[key])
	}
	fmt.Printf("  %-28s %v\n", "trained with", r.Details().Params)
	fmt.Printf("  %-28s %v\n", "tags", d.Tags)
}

// showFiles prints the files of the workspace, without the audit records.
func showFiles(dir string) error {
	fmt.Printf("\nWhere the files are: %s\n\n", dir)
	audits := 0
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return nil
		case strings.HasPrefix(name, "audit/"):
			audits++
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		fmt.Printf("  %8d  %s\n", info.Size(), path.Clean(name))
		return nil
	})
	fmt.Printf("  %8s  audit/: %d records of who did what\n", "", audits)
	return err
}
