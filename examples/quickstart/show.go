package main

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/azml-go/azml/azure"
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
func show(ctx context.Context, r *run.Run, m *model.Model, location string) error {
	fmt.Print("\nHow the training went\n\n")
	for _, metric := range []string{"loss", "accuracy"} {
		if err := plot(ctx, r, metric); err != nil {
			return err
		}
	}
	showLineage(r, m)
	if !azure.IsURL(location) {
		if err := showFiles(location, r.ID()); err != nil {
			return err
		}
	}
	fmt.Printf(`
Go on with the command line (in the folder of the library)

  export AZML_WORKSPACE='%[1]s'
  go run ./cmd/azml run list
  go run ./cmd/azml run metrics %[2]s --plot
  go run ./cmd/azml model show %[3]s
  go run ./cmd/azml endpoint list
  go run ./cmd/azml workspace fsck
`, location, r.ID(), m.ID())
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

// folders says what is in the folders of a workspace.
var folders = []struct{ name, holds string }{
	{"workspace.json", "the workspace itself"},
	{"experiments", "experiments, and the numbers of their runs"},
	{"runs", "a folder for each run: its record, metrics, logs and list of files"},
	{"models", "a record for each version of a model"},
	{"endpoints", "endpoints and their logs"},
	{"files", "contents, each stored once: snapshots, outputs, models"},
	{"audit", "who changed what, and when"},
	{".secrets", "keys of endpoints, encrypted"},
}

// showFiles prints what is where in the folder of the workspace.
func showFiles(dir, runID string) error {
	fmt.Printf("\nWhere the files are: %s\n\n  %-15s %5s %9s\n", dir, "", "files", "bytes")
	for _, folder := range folders {
		count, size, err := measure(filepath.Join(dir, folder.name))
		if err != nil {
			return err
		}
		fmt.Printf("  %-15s %5d %9d  %s\n", folder.name, count, size, folder.holds)
	}
	fmt.Printf("\n  This run's record: %s\n", filepath.Join(dir, "runs", runID, "run.json"))
	return nil
}

// measure counts the files below a path, and their bytes.
func measure(root string) (count int, size int64, err error) {
	err = filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		count, size = count+1, size+info.Size()
		return nil
	})
	return count, size, err
}
