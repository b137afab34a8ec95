package label_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/dataset"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/workspacetest"
	"github.com/azml-go/azml/label"
	"github.com/azml-go/azml/workspace"
)

// setup opens a workspace with files in its own datastore.
func setup(t *testing.T, files map[string]string) *workspace.Workspace {
	t.Helper()
	ws := workspacetest.Open(t)
	store, err := ws.Datastores().Default(t.Context(), nil)
	require.NoError(t, err)
	for path, text := range files {
		_, err := store.Write(t.Context(), path, strings.NewReader(text), &datastore.WriteOptions{})
		require.NoError(t, err)
	}
	return ws
}

func images(t *testing.T, ws *workspace.Workspace) *dataset.Dataset {
	t.Helper()
	d, err := ws.Datasets().FromFiles(t.Context(), []dataset.Path{{Path: "img/"}}, nil)
	require.NoError(t, err)
	d, err = d.Register(t.Context(), "images", nil)
	require.NoError(t, err)
	return d
}

var imageFiles = map[string]string{"img/a.png": "a", "img/b.png": "b", "img/sub/c.png": "c"}

func each(labels ...label.Label) iter.Seq2[label.Label, error] {
	return func(yield func(label.Label, error) bool) {
		for _, l := range labels {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func all(t *testing.T, labels iter.Seq2[label.Label, error]) (out []label.Label) {
	t.Helper()
	for l, err := range labels {
		require.NoError(t, err)
		out = append(out, l)
	}
	return out
}

// some are labels of every kind.
func some() []label.Label {
	return []label.Label{
		{Item: "a.png", Class: "cat", Box: &label.Box{X: 1, Y: 2.5, Width: 10, Height: 20}, Segmentation: json.RawMessage(`[[1,2,11,2,11,22]]`), Area: 100, ItemWidth: 640, ItemHeight: 480,
			Confidence: 0.75},
		{Item: "a.png", Class: "dog", Crowd: true, Segmentation: json.RawMessage(`{"counts":[1,2],"size":[480,640]}`), Area: 3, ItemWidth: 640, ItemHeight: 480},
		{Item: "sub/c.png", Class: "cat"},
		{Item: "b.png", ItemWidth: 3, ItemHeight: 4},
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	ws := setup(t, imageFiles)
	items := images(t, ws)
	labels := some()
	labels[0].Labeler, labels[0].Time = "ann", time.Date(2024, 5, 1, 10, 0, 0, 1000, time.UTC)
	d, err := label.Register(t.Context(), items, "animals", each(labels...), &label.RegisterOptions{Tags: map[string]string{"by": "ann"}, Target: dataset.Path{Path: "labels"}})
	require.NoError(t, err)
	require.Equal(t, &dataset.Labels{Of: "images:1"}, d.Details().Labels)
	got, err := ws.Datasets().Get(t.Context(), "animals", 1, nil)
	require.NoError(t, err)
	require.Equal(t, labels, all(t, label.All(t.Context(), got)))
	of, err := label.Items(t.Context(), got)
	require.NoError(t, err)
	require.Equal(t, "images", of.Name())
	cats, err := got.Filter("label = 'cat'")
	require.NoError(t, err)
	require.Len(t, all(t, label.All(t.Context(), cats)), 2)

	_, err = label.Register(t.Context(), items, "animals", each(labels[0]), nil)
	require.ErrorIs(t, err, azml.ErrExists)
	second, err := label.Register(t.Context(), items, "animals", each(labels[0]), &label.RegisterOptions{CreateNewVersion: true})
	require.NoError(t, err)
	require.Equal(t, 2, second.Version())
	require.Len(t, all(t, label.All(t.Context(), got)), 4, "a version is never changed")
	_, err = label.Items(t.Context(), items)
	require.ErrorIs(t, err, azml.ErrInvalid)
	report, err := ws.Fsck(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, report.Problems)
}

func TestRegisterOfRows(t *testing.T) {
	t.Parallel()
	ws := setup(t, map[string]string{"t.csv": "id,text\n17,good\n18,bad\n"})
	table, err := ws.Datasets().FromDelimitedFiles(t.Context(), []dataset.Path{{Path: "t.csv"}}, nil)
	require.NoError(t, err)
	d, err := label.Register(t.Context(), table, "mood", each(label.Label{Item: "18", Class: "angry"}), &label.RegisterOptions{Key: "id"})
	require.NoError(t, err)
	require.Equal(t, &dataset.Labels{Of: table.ID(), Key: "id"}, d.Details().Labels)
	of, err := label.Items(t.Context(), d)
	require.NoError(t, err)
	require.Equal(t, table.ID(), of.ID())
	_, err = label.Register(t.Context(), table, "other", each(label.Label{Item: "19", Class: "x"}), &label.RegisterOptions{Key: "id"})
	require.ErrorContains(t, err, `label 1: invalid: there is no item "19"`)
	_, err = label.Register(t.Context(), table, "other", each(), nil)
	require.ErrorContains(t, err, `name one of ["id" "text"]`)
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	ws := setup(t, imageFiles)
	items := images(t, ws)
	for name, tt := range map[string]struct {
		l    label.Label
		want string
	}{
		"unknown":      {label.Label{Item: "z.png", Class: "x"}, `label 2: invalid: there is no item "z.png" in images:1`},
		"no item":      {label.Label{Class: "x"}, "label 2: invalid: it names no item"},
		"confidence":   {label.Label{Item: "a.png", Confidence: math.NaN()}, "use 0 to 1"},
		"box":          {label.Label{Item: "a.png", Box: &label.Box{Width: -1}}, "there is no box"},
		"segmentation": {label.Label{Item: "a.png", Segmentation: json.RawMessage("[")}, "is no JSON"},
		"area":         {label.Label{Item: "a.png", Area: math.Inf(1)}, "less than nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := label.Register(t.Context(), items, "bad", each(label.Label{Item: "a.png", Class: "x"}, tt.l), nil)
			require.ErrorIs(t, err, azml.ErrInvalid)
			require.ErrorContains(t, err, tt.want)
			_, err = ws.Datasets().Get(t.Context(), "bad", 1, nil)
			require.ErrorIs(t, err, azml.ErrNotFound, "nothing is half registered")
		})
	}
	broken := func(yield func(label.Label, error) bool) { yield(label.Label{}, errors.New("torn")) }
	_, err := label.Register(t.Context(), items, "bad", broken, nil)
	require.ErrorContains(t, err, "torn")
	_, err = label.Register(t.Context(), items, "bad", each(), &label.RegisterOptions{Key: "x"})
	require.ErrorContains(t, err, "the ID of a file is its path")
	_, err = label.Register(t.Context(), items, "loose", each(label.Label{Item: "z.png", Class: "x"}), &label.RegisterOptions{SkipValidation: true})
	require.NoError(t, err)
}

func TestCOCO(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, label.WriteCOCO(&b, each(some()...)))
	var file struct {
		Images, Categories, Annotations []map[string]any
	}
	require.NoError(t, json.Unmarshal(b.Bytes(), &file))
	require.Len(t, file.Images, 3)
	require.Equal(t, []map[string]any{{"id": 1.0, "name": "cat"}, {"id": 2.0, "name": "dog"}}, file.Categories)
	require.Equal(t, []any{1.0, 2.5, 10.0, 20.0}, file.Annotations[0]["bbox"])
	require.Equal(t, some(), all(t, label.ReadCOCO(bytes.NewReader(b.Bytes()), nil)))

	// as others write it: annotations last, with what nobody needs
	text := `{"info":{"year":2017,"x":[{"y":[1]}]},"licenses":[],"images":[{"id":9,"file_name":"1.jpg","width":5,"height":6,"coco_url":"http://x"},{"id":8,"file_name":"2.jpg"}],
"annotations":[{"id":1,"image_id":9,"category_id":3,"bbox":[0,1,2,3],"segmentation":[],"area":6,"iscrowd":0}],"categories":[{"id":3,"name":"person","supercategory":"x"}]}`
	got := all(t, label.ReadCOCO(strings.NewReader(text), &label.COCOOptions{Folder: "val"}))
	require.Equal(t, []label.Label{{Item: "val/1.jpg", Class: "person", Box: &label.Box{X: 0, Y: 1, Width: 2, Height: 3}, Area: 6, ItemWidth: 5, ItemHeight: 6}, {Item: "val/2.jpg"}}, got)
	for range label.ReadCOCO(strings.NewReader(text), nil) {
		break
	}
	for name, tt := range map[string]struct{ text, want string }{
		"empty":    {"", "it is no COCO file"},
		"a list":   {"[]", "there is [ instead of {"},
		"image":    {`{"images":[{"id":"x"}]}`, "images, element 1"},
		"no image": {`{"annotations":[{"id":5,"image_id":7}]}`, "annotation with the ID 5: there is no image 7"},
		"no class": {`{"images":[{"id":7}],"annotations":[{"id":5,"image_id":7,"category_id":1}]}`, "there is no category 1"},
		"box":      {`{"images":[{"id":7}],"categories":[{"id":1}],"annotations":[{"id":5,"image_id":7,"category_id":1,"bbox":[1]}]}`, "its bbox has 1 numbers"},
		"object":   {`{"images":{}}`, "images: invalid: it is no COCO file"},
		"cut off":  {text[:len(text)-40], "categories, element 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var last error
			for _, err := range label.ReadCOCO(strings.NewReader(tt.text), nil) {
				last = err
			}
			require.ErrorIs(t, last, azml.ErrInvalid)
			require.ErrorContains(t, last, tt.want)
		})
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, label.WriteCSV(&b, each(some()...)))
	want := some()
	for i := range want { // what the form has no place for
		want[i].Segmentation, want[i].Area, want[i].Crowd = nil, 0, false
	}
	require.Equal(t, want, all(t, label.ReadCSV(&b, nil)))
	text := "\ufeffUrl,Label,Confidence\n\"a,b.png\",\"x\"\"y\",0.5\n"
	require.Equal(t, []label.Label{{Item: "a,b.png", Class: `x"y`}}, all(t, label.ReadCSV(strings.NewReader(text), &label.CSVOptions{Item: "Url", Class: "Label"})))
	for name, tt := range map[string]struct{ text, want string }{
		"empty":      {"", "there are no names of columns"},
		"no label":   {"item,class\n", `there is no column "label", but ["item" "class"]`},
		"fields":     {"item,label\na,b\na\n", "line 3"},
		"number":     {"item,label,confidence\na,b,1\n\na,b,x\n", `line 4: column "confidence": "x" is no number`},
		"half a box": {"item,label,x,y,width,height\na,b,1,2,,3\n", "a box has all of"},
		"pixels":     {"item,label,item_width\na,b,1.5\n", "is no number of pixels"},
		"time":       {"item,label,time\na,b,yesterday\n", "is no time"},
		"quote":      {"item,label\na,\"b\n", "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var last error
			for _, err := range label.ReadCSV(strings.NewReader(tt.text), nil) {
				last = err
			}
			require.ErrorIs(t, last, azml.ErrInvalid)
			require.ErrorContains(t, last, tt.want)
		})
	}
}

// FuzzReadCOCO reads anything: it is labels that are written and read again as they
// are, or an error.
func FuzzReadCOCO(f *testing.F) {
	f.Add(`{"images":[{"id":7,"file_name":"a"}],"categories":[{"id":1,"name":"x"}],"annotations":[{"image_id":7,"category_id":1,"bbox":[1,2,3,4]}]}`)
	f.Add(`{"images":[{"id":7,"file_name":"a"}],"x":[[{}]]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var labels []label.Label
		for l, err := range label.ReadCOCO(strings.NewReader(text), nil) {
			if err != nil {
				return
			}
			labels = append(labels, l)
		}
		var b bytes.Buffer
		require.NoError(t, label.WriteCOCO(&b, each(labels...)))
		again := 0
		for _, err := range label.ReadCOCO(bytes.NewReader(b.Bytes()), nil) {
			require.NoError(t, err)
			again++
		}
		require.LessOrEqual(t, again, len(labels))
	})
}
