package tensorboard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strconv"
	"strings"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/tfevents"
	"github.com/azml-go/azml/run"
)

// The properties of imported runs.
const (
	// propertyContent names what was imported, see folder.content.
	propertyContent = "tensorboard.content"
	// propertyBytes is the size of the files that were imported.
	propertyBytes = "tensorboard.bytes"
)

// maxDamaged is the most damaged records that are listed.
const maxDamaged = 100

// importer makes a run of one folder.
type importer struct {
	exp      *experiment.Experiment
	folder   folder
	scratch  string // a folder for images on their way
	progress func(Imported)

	run     *run.Run
	plugins map[string]string // of each tag: only its first value has to name it
	params  map[string]any
	done    Imported
}

func (i *importer) show() {
	if i.progress != nil {
		done := i.done
		done.LeftOut = maps.Clone(done.LeftOut)
		i.progress(done)
	}
}

// importFolder makes a run of the folder, unless old is a run of it as it is.
func (i *importer) importFolder(ctx context.Context, old *run.Run) error {
	opts := &experiment.RunOptions{RunID: i.done.RunID, DisplayName: displayName(i.folder), Properties: map[string]string{}}
	i.done.Outcome = Created
	if old != nil {
		if again, err := i.again(ctx, old); err != nil || !again {
			return err
		}
		i.done.Outcome = Replaced
		d := old.Details()
		opts.DisplayName, opts.Description, opts.Tags, opts.Properties = d.DisplayName, d.Description, d.Tags, d.Properties
		if opts.Properties == nil {
			opts.Properties = map[string]string{}
		}
		if err := experiment.RunClient(i.exp).Delete(ctx, old.ID(), nil); err != nil {
			return err
		}
	}
	opts.Properties[propertyContent] = i.folder.content()
	opts.Properties[propertyBytes] = strconv.FormatInt(i.folder.size(), 10)
	_, err := i.exp.Run(ctx, func(ctx context.Context, r *run.Run) error {
		i.run = r
		return i.read(ctx)
	}, opts)
	if errors.Is(err, azml.ErrExists) {
		return fmt.Errorf("%w: another process imports it: %w", azml.ErrConflict, err)
	}
	return err
}

// displayName is the folder's path, whose end says more when it is too long.
func displayName(f folder) string {
	const longest = 256
	name := []rune(strings.ToValidUTF8(f.name, "_"))
	if f.name == "." {
		name = []rune(strings.ToValidUTF8(f.base, "_"))
	}
	return string(name[max(0, len(name)-longest):])
}

// again tells whether the folder is to be imported again, and if not, says why.
func (i *importer) again(ctx context.Context, old *run.Run) (bool, error) {
	d := old.Details()
	switch {
	case !d.Status.Terminal():
		return false, fmt.Errorf("%w: run %s is being imported: it is %s", azml.ErrConflict, d.RunID, d.Status)
	case d.Status != run.StatusCompleted:
		return true, nil // its import was cut off
	case d.Properties[propertyContent] == i.folder.content():
		i.done.Outcome = Unchanged
		return false, nil
	}
	i.done.Outcome = Kept
	if before, err := strconv.ParseInt(d.Properties[propertyBytes], 10, 64); err != nil || i.folder.size() < before {
		i.done.Reason = "the folder has less than was imported"
		return false, nil
	}
	files, err := old.Files(ctx, "")
	if err != nil {
		return false, err
	}
	for _, f := range files {
		if !strings.HasPrefix(f.Path, imagesFolder) {
			i.done.Reason = fmt.Sprintf("the run was given the file %q", f.Path)
			return false, nil
		}
	}
	for _, err := range old.Children(ctx, nil) {
		if err == nil {
			i.done.Reason = "the run was given children"
		}
		return false, err
	}
	return true, nil
}

// imagesFolder is where run.Run.LogImageFile puts images.
const imagesFolder = "images/"

// read logs what the folder's files have.
func (i *importer) read(ctx context.Context) error {
	for _, file := range i.folder.files {
		if err := i.readFile(ctx, file); err != nil {
			return err
		}
	}
	return i.logParams(ctx)
}

func (i *importer) readFile(ctx context.Context, file eventFile) error {
	content, err := os.Open(file.path)
	if err != nil {
		return err
	}
	defer content.Close()
	records := tfevents.NewReader(io.LimitReader(content, file.size))
	for n := 1; ; n++ {
		at := records.Offset()
		data, err := records.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		var e tfevents.Event
		if err == nil {
			e, err = tfevents.Parse(data)
		}
		switch {
		case errors.Is(err, azml.ErrDamaged):
			i.damage(Damage{File: file.name, Offset: at, Reason: err.Error()})
			if records.Offset() == at { // nobody knows where the next record is
				return nil
			}
		case err != nil:
			return fmt.Errorf("%s: %w", file.name, err)
		default:
			if err := i.event(ctx, e); err != nil {
				return fmt.Errorf("%s at offset %d: %w", file.name, at, err)
			}
		}
		const often = 10_000
		if n%often == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			i.show()
		}
	}
}

// damage keeps where a file is damaged, and counts.
func (i *importer) damage(d Damage) {
	i.leave("damaged records")
	if len(i.done.Damaged) < maxDamaged {
		i.done.Damaged = append(i.done.Damaged, d)
	}
}

// event logs the values of one event.
func (i *importer) event(ctx context.Context, e tfevents.Event) error {
	if e.Other != "" && e.Other != "session log" {
		i.leave(e.Other)
	}
	opts := &run.LogOptions{Step: e.Step, Time: moment(e.WallTime)}
	for _, v := range e.Values {
		if err := i.value(ctx, v, opts); err != nil {
			return fmt.Errorf("value %q: %w", v.Tag, err)
		}
	}
	return nil
}

// leave counts something that is not carried over.
func (i *importer) leave(reason string) {
	if i.done.LeftOut == nil {
		i.done.LeftOut = map[string]int64{}
	}
	i.done.LeftOut[reason]++
}
