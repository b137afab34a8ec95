package label

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"

	"github.com/azml-go/azml"
)

// cocoImage is an image of COCO's.
type cocoImage struct {
	ID       int64  `json:"id"`
	FileName string `json:"file_name"`
	Width    int32  `json:"width,omitempty"`
	Height   int32  `json:"height,omitempty"`
}

// cocoCategory is a class.
type cocoCategory struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// cocoAnnotation is a label.
type cocoAnnotation struct {
	ID           int64           `json:"id"`
	ImageID      int64           `json:"image_id"`
	CategoryID   int64           `json:"category_id"`
	Box          []float64       `json:"bbox,omitempty"`
	Segmentation json.RawMessage `json:"segmentation,omitempty"`
	Area         float64         `json:"area,omitempty"`
	Crowd        int             `json:"iscrowd"`
	Score        float64         `json:"score,omitempty"`
}

// COCOOptions are the options of ReadCOCO.
type COCOOptions struct {
	// Folder is put before the names of files, to make them paths in the dataset.
	Folder string
}

// ReadCOCO yields the labels of a file of COCO's object detection form: the
// annotations in their order, and then the images without one. It reads twice, the
// images and classes first, so only these are in memory. What else there is, such
// as licenses and groups of classes, is passed over. Errors: ErrInvalid naming the
// annotation.
func ReadCOCO(r io.ReadSeeker, opts *COCOOptions) iter.Seq2[Label, error] {
	return func(yield func(Label, error) bool) {
		c := cocoReader{images: map[int64]int{}, classes: map[int64]string{}}
		if opts != nil {
			c.folder = opts.Folder
		}
		stopped := false
		err := c.read(r, func(l Label) bool {
			stopped = !yield(l, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(Label{}, err)
		}
	}
}

type cocoReader struct {
	folder  string
	all     []cocoImage
	images  map[int64]int // places in all
	classes map[int64]string
	done    []bool // of all
}

// errStop ends the reading early.
var errStop = errors.New("stopped")

func (c *cocoReader) read(r io.ReadSeeker, give func(Label) bool) error {
	err := eachMember(r, map[string]func(*json.Decoder) error{
		"images": func(d *json.Decoder) error {
			var one cocoImage
			err := d.Decode(&one)
			c.images[one.ID] = len(c.all)
			c.all = append(c.all, one)
			return err
		},
		"categories": func(d *json.Decoder) error {
			var one cocoCategory
			err := d.Decode(&one)
			c.classes[one.ID] = one.Name
			return err
		},
	})
	if err != nil {
		return err
	}
	c.done = make([]bool, len(c.all))
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	err = eachMember(r, map[string]func(*json.Decoder) error{"annotations": func(d *json.Decoder) error {
		var one cocoAnnotation
		if err := d.Decode(&one); err != nil {
			return err
		}
		l, err := c.label(&one)
		if err == nil && !give(l) {
			err = errStop
		}
		return err
	}})
	if err != nil {
		return err
	}
	for i, image := range c.all {
		if !c.done[i] && !give(Label{Item: path.Join(c.folder, image.FileName), ItemWidth: image.Width, ItemHeight: image.Height}) {
			return nil
		}
	}
	return nil
}

func (c *cocoReader) label(a *cocoAnnotation) (Label, error) {
	at, ok := c.images[a.ImageID]
	if !ok {
		return Label{}, fmt.Errorf("%w: annotation with the ID %d: there is no image %d", azml.ErrInvalid, a.ID, a.ImageID)
	}
	class, ok := c.classes[a.CategoryID]
	if !ok {
		return Label{}, fmt.Errorf("%w: annotation with the ID %d: there is no category %d", azml.ErrInvalid, a.ID, a.CategoryID)
	}
	c.done[at] = true
	image := c.all[at]
	l := Label{Item: path.Join(c.folder, image.FileName), Class: class, Area: a.Area, Crowd: a.Crowd != 0, ItemWidth: image.Width, ItemHeight: image.Height, Confidence: a.Score}
	if string(a.Segmentation) != "[]" && string(a.Segmentation) != "null" {
		l.Segmentation = a.Segmentation
	}
	switch b := a.Box; len(b) {
	case 0:
	case 4:
		l.Box = &Box{b[0], b[1], b[2], b[3]}
	default:
		return Label{}, fmt.Errorf("%w: annotation with the ID %d: its bbox has %d numbers, not 4", azml.ErrInvalid, a.ID, len(b))
	}
	return l, nil
}

// eachMember reads an object, and calls the function of a member with each element
// of the list that it is.
func eachMember(r io.Reader, do map[string]func(*json.Decoder) error) error {
	d := json.NewDecoder(bufio.NewReaderSize(r, 1<<20))
	if err := expect(d, '{'); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fmt.Errorf("%w: it is no COCO file: %w", azml.ErrInvalid, err)
		}
		element := do[fmt.Sprint(name)]
		if element == nil {
			if err := skip(d); err != nil {
				return err
			}
			continue
		}
		if err := expect(d, '['); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for n := 1; d.More(); n++ {
			if err := element(d); errors.Is(err, errStop) || errors.Is(err, azml.ErrInvalid) {
				return err
			} else if err != nil {
				return fmt.Errorf("%w: %s, element %d: %w", azml.ErrInvalid, name, n, err)
			}
		}
		if err := expect(d, ']'); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return expect(d, '}')
}

func expect(d *json.Decoder, want json.Delim) error {
	got, err := d.Token()
	if err != nil {
		return fmt.Errorf("%w: it is no COCO file: %w", azml.ErrInvalid, err)
	}
	if got != want {
		return fmt.Errorf("%w: it is no COCO file: there is %v instead of %v", azml.ErrInvalid, got, want)
	}
	return nil
}

// skip passes over a value, piece by piece: it may be large.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("%w: it is no COCO file: %w", azml.ErrInvalid, err)
		}
		switch t {
		case json.Delim('['), json.Delim('{'):
			depth++
		case json.Delim(']'), json.Delim('}'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// WriteCOCO writes labels in COCO's object detection form, with numbers from 1 for
// images, classes and annotations in the order in which they come. Only images and
// classes are in memory. Who labelled when is left out: COCO has no place for it.
// Errors: those of labels and w.
func WriteCOCO(w io.Writer, labels iter.Seq2[Label, error]) error {
	c := cocoWriter{w: bufio.NewWriterSize(w, 1<<20), images: map[string]int64{}, allImages: []cocoImage{}, classes: map[string]int64{}, allClasses: []cocoCategory{}}
	c.text(`{"annotations":[`)
	for l, err := range labels {
		if err != nil {
			return err
		}
		if err := c.label(&l); err != nil {
			return err
		}
	}
	c.text("\n],")
	for i, member := range []any{c.allImages, c.allClasses} {
		data, err := json.Marshal(member)
		if err != nil {
			return err
		}
		c.text([]string{"\n\"images\":", ",\n\"categories\":"}[i] + string(data))
	}
	c.text("}\n")
	return c.w.Flush()
}

type cocoWriter struct {
	w          *bufio.Writer
	images     map[string]int64
	allImages  []cocoImage
	classes    map[string]int64
	allClasses []cocoCategory
	count      int64
}

// text writes; the error is that of Flush.
func (c *cocoWriter) text(s string) { _, _ = c.w.WriteString(s) }

func (c *cocoWriter) label(l *Label) error {
	image, known := c.images[l.Item]
	if !known {
		image = int64(len(c.allImages) + 1)
		c.images[l.Item] = image
		c.allImages = append(c.allImages, cocoImage{image, l.Item, l.ItemWidth, l.ItemHeight})
	}
	if l.Class == "" {
		return nil
	}
	class, known := c.classes[l.Class]
	if !known {
		class = int64(len(c.allClasses) + 1)
		c.classes[l.Class] = class
		c.allClasses = append(c.allClasses, cocoCategory{class, l.Class})
	}
	c.count++
	a := cocoAnnotation{ID: c.count, ImageID: image, CategoryID: class, Segmentation: l.Segmentation, Area: l.Area, Score: l.Confidence}
	if l.Crowd {
		a.Crowd = 1
	}
	if b := l.Box; b != nil {
		a.Box = []float64{b.X, b.Y, b.Width, b.Height}
		if a.Area == 0 {
			a.Area = b.Width * b.Height
		}
	}
	data, err := json.Marshal(a)
	if c.count > 1 {
		c.text(",")
	}
	c.text("\n" + string(data))
	return err
}
