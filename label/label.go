package label

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"strconv"
	"time"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/tabular"
)

// Label is what is said of an item, or of a part of it. An item may have several,
// and one without a class, which says that it was looked at and shows nothing.
// Tags name the columns of the table that labels are kept in.
type Label struct {
	// Item is the ID of the item.
	Item string `parquet:"item" dataset:"item"`
	// Class is what it is, empty when it is nothing.
	Class string `parquet:"label,optional,dict" dataset:"label"`
	// Box is where in an image, nil for the whole.
	Box *Box `parquet:"box,optional" dataset:"box"`
	// Segmentation is the exact place, as COCO has it: a list of polygons, or an
	// object of run lengths. Empty for none.
	Segmentation json.RawMessage `parquet:"segmentation,json,optional" dataset:"segmentation"`
	// Area is that of the segmentation in pixels, 0 when it is not known.
	Area float64 `parquet:"area" dataset:"area"`
	// Crowd says that it is many things at once that nobody told apart.
	Crowd bool `parquet:"iscrowd" dataset:"iscrowd"`
	// ItemWidth is the image's width in pixels, 0 when it is not known.
	ItemWidth int32 `parquet:"item_width" dataset:"item_width"`
	// ItemHeight is its height.
	ItemHeight int32 `parquet:"item_height" dataset:"item_height"`
	// Confidence is from 0 to 1, 0 when nobody told.
	Confidence float64 `parquet:"confidence" dataset:"confidence"`
	// Labeler is who said it.
	Labeler string `parquet:"labeler,optional,dict" dataset:"labeler"`
	// Time is when, zero when it is not known.
	Time time.Time `parquet:"time,optional,timestamp(microsecond)" dataset:"time"`
}

// Box is a rectangle in an image, in pixels from its upper left corner.
type Box struct {
	// X is the distance from the left.
	X float64 `parquet:"x" json:"x"`
	// Y is the distance from the top.
	Y float64 `parquet:"y" json:"y"`
	// Width is to the right.
	Width float64 `parquet:"width" json:"width"`
	// Height is down.
	Height float64 `parquet:"height" json:"height"`
}

// check tells what is wrong with a label.
func (l *Label) check() error {
	switch {
	case l.Item == "":
		return fmt.Errorf("%w: it names no item", azml.ErrInvalid)
	case !(l.Confidence >= 0 && l.Confidence <= 1):
		return fmt.Errorf("%w: item %q: confidence %v: use 0 to 1", azml.ErrInvalid, l.Item, l.Confidence)
	case len(l.Segmentation) > 0 && !json.Valid(l.Segmentation):
		return fmt.Errorf("%w: item %q: its segmentation is no JSON", azml.ErrInvalid, l.Item)
	case l.ItemWidth < 0 || l.ItemHeight < 0 || !finite(l.Area):
		return fmt.Errorf("%w: item %q: its size or area is less than nothing", azml.ErrInvalid, l.Item)
	}
	if b := l.Box; b != nil && !(finite(b.Width) && finite(b.Height) && !math.IsNaN(b.X+b.Y) && !math.IsInf(b.X+b.Y, 0)) {
		return fmt.Errorf("%w: item %q: there is no box %v", azml.ErrInvalid, l.Item, *b)
	}
	return nil
}

// finite tells whether a length is one.
func finite(x float64) bool { return x >= 0 && !math.IsInf(x, 1) }

// RegisterOptions are the options of Register.
type RegisterOptions struct {
	// Target is the folder in which the labels are stored, in a folder of a random
	// name; the default datastore's root by default.
	Target dataset.Path
	// Key is the column of a table that has the IDs of its rows. Not for files.
	Key string
	// Description is free text of at most 5,000 characters.
	Description string
	// Tags are free labels of the dataset that can be changed later.
	Tags map[string]string
	// CreateNewVersion makes the next version when the name is taken; without it
	// that is an error.
	CreateNewVersion bool
	// SkipValidation takes labels of items that are not there.
	SkipValidation bool
}

// Register stores labels of the items of a dataset as Parquet, and registers them
// as a dataset of its own. Nothing is stored when there is an error. The items'
// dataset is kept by its ID when it is not registered. All IDs of items are in
// memory meanwhile. Errors: ErrInvalid naming the label that is wrong or whose item
// is not there; ErrExists when the name is taken; those of labels.
func Register(ctx context.Context, items *dataset.Dataset, name string, labels iter.Seq2[Label, error], opts *RegisterOptions) (*dataset.Dataset, error) {
	if opts == nil {
		opts = &RegisterOptions{}
	}
	of, err := reference(ctx, items)
	if err != nil {
		return nil, err
	}
	var there map[string]bool
	if opts.SkipValidation {
		err = checkKey(items, opts.Key)
	} else {
		there, err = itemIDs(ctx, items, opts.Key)
	}
	if err != nil {
		return nil, err
	}
	checked := func(yield func(Label, error) bool) {
		n := 0
		for l, err := range labels {
			if n++; err == nil {
				err = l.check()
			}
			if err == nil && there != nil && !there[l.Item] {
				err = fmt.Errorf("%w: there is no item %.200q in %s (SkipValidation, --skip-validation takes it all the same)", azml.ErrInvalid, l.Item, of)
			}
			if err != nil {
				yield(Label{}, fmt.Errorf("label %d: %w", n, err))
				return
			}
			if !yield(l, nil) {
				return
			}
		}
	}
	return dataset.Write(ctx, items.Client(), name, opts.Target, checked, &dataset.RegisterOptions{Description: opts.Description, Tags: opts.Tags,
		CreateNewVersion: opts.CreateNewVersion, Labels: &dataset.Labels{Of: of, Key: opts.Key}})
}

// reference gives the ID by which the dataset is found again.
func reference(ctx context.Context, d *dataset.Dataset) (string, error) {
	if d.Name() != "" {
		return fmt.Sprintf("%s:%d", d.Name(), d.Version()), nil
	}
	return d.ID(), d.Save(ctx, nil)
}

func checkKey(items *dataset.Dataset, key string) error {
	switch {
	case items.Type() == dataset.TypeFile && key != "":
		return fmt.Errorf("%w: column %q: the ID of a file is its path: leave the key out", azml.ErrInvalid, key)
	case items.Type() == dataset.TypeTabular && items.Columns().Index(key) < 0:
		return fmt.Errorf("%w: there is no column %q for the IDs of rows: name one of %q", azml.ErrInvalid, key, items.Columns().Names())
	}
	return nil
}

// itemIDs gives the IDs of all items.
func itemIDs(ctx context.Context, items *dataset.Dataset, key string) (map[string]bool, error) {
	if err := checkKey(items, key); err != nil {
		return nil, err
	}
	there := map[string]bool{}
	if items.Type() == dataset.TypeFile {
		files, err := items.Files(ctx, nil)
		for _, f := range files {
			there[f.Path] = true
		}
		return there, err
	}
	for b, err := range items.Batches(ctx, &dataset.BatchesOptions{Columns: []string{key}}) {
		if err != nil {
			return nil, err
		}
		for row := range b.Rows {
			if !b.Columns[0].Null(row) {
				there[keyText(&b.Columns[0], row)] = true
			}
		}
	}
	return there, nil
}

// keyText gives the ID of a row: its value as text.
func keyText(c *tabular.Column, row int) string {
	switch c.Type {
	case tabular.Int:
		return strconv.FormatInt(c.Ints[row], 10)
	case tabular.Float:
		return strconv.FormatFloat(c.Floats[row], 'g', -1, 64)
	case tabular.Bool:
		return strconv.FormatBool(c.Bools[row])
	case tabular.Time:
		return time.Unix(0, c.Ints[row]).UTC().Format(time.RFC3339Nano)
	}
	return string([]byte(c.Texts[row])) // a copy: the text lies in the block that it was read from
}

// All yields the labels of a dataset that Register made, or of one made of it by
// transforms, in their order. Errors: those of dataset.Rows.
func All(ctx context.Context, labels *dataset.Dataset) iter.Seq2[Label, error] {
	return dataset.Rows[Label](ctx, labels, nil)
}

// Items gives the dataset whose items the labels are of. Errors: ErrInvalid when
// it is not a version that Register made; ErrNotFound when that of the items was
// deleted.
func Items(ctx context.Context, labels *dataset.Dataset) (*dataset.Dataset, error) {
	of := labels.Details().Labels
	if of == nil {
		return nil, fmt.Errorf("%w: dataset %s:%d has no labels of another", azml.ErrInvalid, labels.Name(), labels.Version())
	}
	return labels.Client().GetByID(ctx, of.Of, nil)
}
