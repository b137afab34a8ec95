package workspace

import (
	"errors"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/internal/history"
	"github.com/azml-go/azml/internal/record"
)

func (c *checker) runNumber(key string) error {
	c.number(key)
	r, ok, err := read[record.RunNumber](c, key)
	if err != nil || !ok {
		return err
	}
	if there, err := c.exists(history.Ref(r.RunID).Key); err != nil || there {
		return err
	}
	c.note(key, "run %s is not there: it was deleted, or its creation was cut off", r.RunID)
	return nil
}

func (c *checker) run(key string) error {
	r, ok, err := read[record.Run](c, key)
	if err != nil || !ok {
		id := strings.TrimSuffix(strings.TrimPrefix(key, history.Prefix), "/run.json")
		c.runs[id] = record.Run{ID: id} // all there is may be its own
		return err
	}
	c.report.Runs++
	c.runs[r.ID] = record.Run{ID: r.ID, Life: r.Life, Kept: r.Kept}
	if r.Snapshot != "" {
		c.roots = append(c.roots, r.Snapshot)
	}
	if key != history.Ref(r.ID).Key {
		c.problem(key, "it says that it is run %q", r.ID)
	}
	number := history.Numbers(r.Experiment).Key(r.Number)
	if err := c.reference(key, "its number, "+number+",", number); err != nil {
		return err
	}
	if d := r.Definition; d != nil {
		name := d.Environment.Name + "/" + d.Environment.Version
		if err := c.reference(key, "environment "+name, "environments/"+name+".json"); err != nil {
			return err
		}
	}
	if err := c.runData(key, r); err != nil {
		return err
	}
	return c.reference(key, "experiment "+r.Experiment, "experiments/"+r.Experiment+".json")
}

// runFiles leaves the part for when it is known whether it is of the run that has
// the ID now.
func (c *checker) runFiles(key string) error {
	c.parts = append(c.parts, key)
	return nil
}

// checkLives tells what belongs to the runs that are there from what was written
// to runs that had their IDs before.
func (c *checker) checkLives() error {
	for life, key := range c.left {
		id, _, _ := strings.Cut(strings.TrimPrefix(key, history.Prefix), "/")
		if run, there := c.runs[id]; there && (run.Life == life || run.Life == "") {
			delete(c.left, life)
		}
	}
	for _, key := range c.left {
		c.note(key, "written to a run that was deleted; the garbage collector removes it")
	}
	for _, key := range c.parts {
		if _, gone := c.left[history.LifeOf(key)]; gone {
			continue
		}
		if err := c.runPart(key); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) runPart(key string) error {
	c.number(key)
	return c.filesPart(key)
}

// checkRuns reads all metrics of all runs, and looks for what the ended ones had.
func (c *checker) checkRuns() error {
	done := 0
	for id, run := range c.runs {
		if run.Life == "" {
			continue
		}
		c.progress("metrics of runs", done)
		done++
		kept := run.Kept
		if kept == nil {
			kept = &record.Kept{}
		}
		if kept.FileParts > 0 {
			part := history.FilesPart(run, kept.FileParts)
			if err := c.reference(history.Ref(id).Key, "a part of its files, "+part+",", part); err != nil {
				return err
			}
		}
		log, err := history.Metrics(c.h, run)
		if err != nil {
			return err
		}
		damages, err := log.Verify(c.ctx, kept.Points)
		if err != nil {
			return err
		}
		for _, d := range damages {
			c.gap(history.Ref(id).Key, d.Object, "at byte %d: %s", d.Offset, d.Problem)
		}
		left, err := log.Leftovers(c.ctx)
		if err != nil && !errors.Is(err, azml.ErrDamaged) && !errors.Is(err, azml.ErrUnsupported) {
			return err
		}
		for _, info := range left {
			c.note(info.Key, "left by a sealing of metrics that was cut off; the garbage collector removes it")
		}
	}
	return nil
}
