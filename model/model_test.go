package model_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
	"github.com/azml-go/azml/model"
)

func echo(_ context.Context, input json.RawMessage) (any, error) { return input, nil }

func register(t *testing.T, c *model.Client, name string, opts *model.RegisterOptions) *model.Model {
	t.Helper()
	m, err := c.Register(t.Context(), name, file(t, t.TempDir(), "m.txt", name), opts)
	require.NoError(t, err)
	return m
}

func ids(t *testing.T, c *model.Client, opts *model.ListOptions) []string {
	t.Helper()
	list := []string{}
	for m, err := range c.List(t.Context(), opts) {
		require.NoError(t, err)
		list = append(list, m.ID())
	}
	return list
}

func TestRegisterAFileAndAFolder(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	models := open(t).Models()
	dir := t.TempDir()
	one, err := models.Register(ctx, "m", file(t, dir, "weights.bin", "12345"), &model.RegisterOptions{
		Description: "first", Tags: map[string]string{"a": "1"}, Properties: map[string]string{"p": "1"}, Framework: "Onnx", FrameworkVersion: "1.2"})
	require.NoError(t, err)
	d := one.Details()
	require.Equal(t, model.Details{ID: "m:1", Name: "m", Version: 1, Description: "first", Framework: "Onnx", FrameworkVersion: "1.2",
		Tags: map[string]string{"a": "1"}, Properties: map[string]string{"p": "1"}, Path: "weights.bin", Size: 5, FileCount: 1,
		Created: d.Created, CreatedBy: d.CreatedBy}, d)
	require.False(t, d.Created.IsZero())
	d.Tags["a"] = "changed"
	require.Equal(t, "1", one.Details().Tags["a"], "details are a copy")

	file(t, dir, "sub/deep.txt", "deep")
	var read atomic.Int64
	two, err := models.Register(ctx, "m", dir, &model.RegisterOptions{Progress: func(n int64) { read.Store(max(n, read.Load())) }})
	require.NoError(t, err)
	require.Positive(t, read.Load())
	require.Equal(t, "m:2", two.ID())
	require.Equal(t, "Custom", two.Details().Framework)
	files, err := two.Files(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"sub/deep.txt", "weights.bin"}, []string{files[0].Path, files[1].Path})
	require.Len(t, files[0].Digest, 64)

	content, err := one.Open(ctx, "")
	require.NoError(t, err)
	data, err := io.ReadAll(content)
	require.NoError(t, err)
	require.NoError(t, content.Close())
	require.Equal(t, "12345", string(data))
	_, err = two.Open(ctx, "")
	require.ErrorIs(t, err, azml.ErrNotFound, "a model of several files needs a name")
	_, err = two.Open(ctx, "none")
	require.ErrorContains(t, err, "sub/deep.txt", "the error names the files there are")
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	models := open(t).Models()
	dir := t.TempDir()
	path := file(t, dir, "f", "x")
	hollow := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(hollow, "a", "b"), 0o700))
	linked := t.TempDir()
	require.NoError(t, os.Symlink(path, filepath.Join(linked, "f")))
	for name, test := range map[string]struct {
		model, path string
		opts        *model.RegisterOptions
		class       error
	}{
		"no name":               {"", path, nil, azml.ErrInvalid},
		"odd name":              {"a/b", path, nil, azml.ErrInvalid},
		"version in name":       {"m:1", path, nil, azml.ErrInvalid},
		"no file":               {"m", filepath.Join(dir, "none"), nil, azml.ErrNotFound},
		"empty folder":          {"m", t.TempDir(), nil, azml.ErrInvalid},
		"only empty folders":    {"m", hollow, nil, azml.ErrInvalid},
		"link that leads out":   {"m", linked, nil, azml.ErrInvalid},
		"version, no framework": {"m", path, &model.RegisterOptions{FrameworkVersion: "1"}, azml.ErrInvalid},
		"long description":      {"m", path, &model.RegisterOptions{Description: strings.Repeat("x", 5001)}, azml.ErrInvalid},
		"empty tag":             {"m", path, &model.RegisterOptions{Tags: map[string]string{"": "x"}}, azml.ErrInvalid},
		"long property":         {"m", path, &model.RegisterOptions{Properties: map[string]string{"x": strings.Repeat("x", 1001)}}, azml.ErrInvalid},
	} {
		_, err := models.Register(t.Context(), test.model, test.path, test.opts)
		require.ErrorIs(t, err, test.class, name)
	}
	require.Empty(t, ids(t, models, nil), "nothing was registered")
}

func TestVersionsAreNeverGivenAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	models, other := reopen(t, dir).Models(), reopen(t, dir).Models()
	for range 3 {
		register(t, models, "m", nil)
	}
	require.NoError(t, models.Delete(ctx, "m", 3, nil))
	require.NoError(t, other.Delete(ctx, "m", 1, nil))
	require.Equal(t, []string{"m:2"}, ids(t, models, nil))
	latest, err := other.Get(ctx, "m", model.Latest, nil)
	require.NoError(t, err)
	require.Equal(t, 2, latest.Version())
	for _, version := range []int{1, 3, 4} {
		_, err := models.Get(ctx, "m", version, nil)
		require.ErrorIs(t, err, azml.ErrNotFound)
		require.ErrorIs(t, models.Delete(ctx, "m", version, nil), azml.ErrNotFound)
	}
	require.ErrorIs(t, models.Delete(ctx, "m", model.Latest, nil), azml.ErrInvalid)
	require.ErrorIs(t, models.Delete(ctx, "m", -1, nil), azml.ErrInvalid)
	require.Equal(t, "m:4", register(t, other, "m", nil).ID())
	require.NoError(t, models.Delete(ctx, "m", 2, nil))
	require.NoError(t, models.Delete(ctx, "m", 4, nil))
	_, err = models.Get(ctx, "m", model.Latest, nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.Equal(t, "m:5", register(t, models, "m", nil).ID(), "numbering goes on after all were deleted")
}

func TestRegisterAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const writers, each = 4, 10
	var all sync.WaitGroup
	for range writers {
		models := reopen(t, dir).Models()
		path := file(t, t.TempDir(), "f", "x")
		all.Go(func() {
			for range each {
				_, err := models.Register(t.Context(), "m", path, nil)
				require.NoError(t, err)
			}
		})
	}
	all.Wait()
	want := []string{}
	for n := writers * each; n > 0; n-- {
		want = append(want, fmt.Sprintf("m:%d", n))
	}
	require.Equal(t, want, ids(t, reopen(t, dir).Models(), nil))
}

func TestListFiltersAndOrder(t *testing.T) {
	t.Parallel()
	models := open(t).Models()
	register(t, models, "b", &model.RegisterOptions{Tags: map[string]string{"team": "risk", "new": ""}})
	register(t, models, "a", &model.RegisterOptions{Framework: "Onnx", Properties: map[string]string{"p": "1"}})
	register(t, models, "b", &model.RegisterOptions{Tags: map[string]string{"team": "ops"}})
	for name, test := range map[string]struct {
		opts *model.ListOptions
		want []string
	}{
		"all":          {nil, []string{"a:1", "b:2", "b:1"}},
		"name":         {&model.ListOptions{Name: "b"}, []string{"b:2", "b:1"}},
		"unknown name": {&model.ListOptions{Name: "c"}, []string{}},
		"latest":       {&model.ListOptions{Latest: true}, []string{"a:1", "b:2"}},
		"tag":          {&model.ListOptions{Tags: map[string]string{"team": "risk"}}, []string{"b:1"}},
		"any value":    {&model.ListOptions{Tags: map[string]string{"team": ""}}, []string{"b:2", "b:1"}},
		"two tags":     {&model.ListOptions{Tags: map[string]string{"team": "ops", "new": ""}}, []string{}},
		"property":     {&model.ListOptions{Properties: map[string]string{"p": "1"}}, []string{"a:1"}},
		"framework":    {&model.ListOptions{Framework: "Custom"}, []string{"b:2", "b:1"}},
		"run":          {&model.ListOptions{RunID: "none"}, []string{}},
		"latest with a tag that only an older one has": {&model.ListOptions{Latest: true, Tags: map[string]string{"team": "risk"}}, []string{}},
	} {
		require.Equal(t, test.want, ids(t, models, test.opts), name)
	}
	for _, err := range models.List(t.Context(), &model.ListOptions{Name: "a/b"}) {
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
	for m := range models.List(t.Context(), nil) {
		require.Equal(t, "a:1", m.ID())
		break // ends quietly
	}
}

// Names that are beginnings of others sort in other ways as keys and as text.
func TestPagesAreTheList(t *testing.T) {
	t.Parallel()
	models := open(t).Models()
	for _, name := range []string{"a", "a-b", "a.b", "a_b", "A", "ab", "a"} {
		register(t, models, name, nil)
	}
	all := ids(t, models, nil)
	require.Len(t, all, 7)
	for size := 1; size <= 8; size++ {
		var got []string
		for token := ""; ; {
			page, next, err := models.ListPage(t.Context(), token, size, nil)
			require.NoError(t, err)
			for _, m := range page {
				got = append(got, m.ID())
			}
			if token = next; token == "" {
				break
			}
		}
		require.Equal(t, all, got, "pages of %d", size)
	}
	_, _, err := models.ListPage(t.Context(), "", 0, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	models := open(t).Models()
	m := register(t, models, "m", &model.RegisterOptions{Tags: map[string]string{"a": "1", "b": "2"}, Properties: map[string]string{"p": "1"}})
	changed, err := m.Update(ctx, model.Update{Description: new("text"), SetTags: map[string]string{"a": "3", "c": ""},
		RemoveTags: []string{"b", "none"}, AddProperties: map[string]string{"p": "1", "q": "2"}})
	require.NoError(t, err)
	d := changed.Details()
	require.Equal(t, "text", d.Description)
	require.Equal(t, map[string]string{"a": "3", "c": ""}, d.Tags)
	require.Equal(t, map[string]string{"p": "1", "q": "2"}, d.Properties)
	require.Empty(t, m.Details().Description, "the receiver stays as it is")
	again, err := m.Refresh(ctx)
	require.NoError(t, err)
	require.Equal(t, d, again.Details())
	_, err = m.Update(ctx, model.Update{SetTags: map[string]string{"x": "y"}, AddProperties: map[string]string{"p": "2"}})
	require.ErrorIs(t, err, azml.ErrConflict)
	_, err = m.Update(ctx, model.Update{Description: new(strings.Repeat("x", 5001))})
	require.ErrorIs(t, err, azml.ErrInvalid)
	again, err = m.Refresh(ctx)
	require.NoError(t, err)
	require.Equal(t, d, again.Details(), "an update that fails changes nothing")
	emptied, err := m.Update(ctx, model.Update{Description: new("")})
	require.NoError(t, err)
	require.Empty(t, emptied.Details().Description)
	require.NoError(t, models.Delete(ctx, "m", 1, nil))
	_, err = m.Update(ctx, model.Update{Description: new("x")})
	require.ErrorIs(t, err, azml.ErrNotFound)
	_, err = m.Refresh(ctx)
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestUpdatesAtOnceLoseNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	register(t, reopen(t, dir).Models(), "m", nil)
	want := map[string]string{}
	var all sync.WaitGroup
	for n := range 8 {
		key := fmt.Sprint(n)
		want[key] = key
		models := reopen(t, dir).Models()
		all.Go(func() {
			m, err := models.Get(t.Context(), "m", 1, nil)
			require.NoError(t, err)
			_, err = m.Update(t.Context(), model.Update{SetTags: map[string]string{key: key}})
			require.NoError(t, err)
		})
	}
	all.Wait()
	m, err := reopen(t, dir).Models().Get(t.Context(), "m", 1, nil)
	require.NoError(t, err)
	require.True(t, maps.Equal(want, m.Details().Tags))
}

func TestDownload(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	file(t, dir, "a.txt", "a")
	file(t, dir, "sub/b.txt", strings.Repeat("b", 3<<20))
	m, err := open(t).Models().Register(ctx, "m", dir, nil)
	require.NoError(t, err)
	target := filepath.Join(t.TempDir(), "new", "folder")
	var done, total int64
	require.NoError(t, m.Download(ctx, target, &model.DownloadOptions{Progress: func(d, all int64) { done, total = d, all }}))
	require.Equal(t, m.Details().Size, total)
	require.Equal(t, total, done)
	data, err := os.ReadFile(filepath.Join(target, "sub", "b.txt"))
	require.NoError(t, err)
	require.Len(t, data, 3<<20)
	file(t, target, "a.txt", "mine")
	require.ErrorIs(t, m.Download(ctx, target, nil), azml.ErrExists)
	data, err = os.ReadFile(filepath.Join(target, "a.txt"))
	require.NoError(t, err)
	require.Equal(t, "mine", string(data))
	require.NoError(t, m.Download(ctx, target, &model.DownloadOptions{Overwrite: true}))
	data, err = os.ReadFile(filepath.Join(target, "a.txt"))
	require.NoError(t, err)
	require.Equal(t, "a", string(data))
}

func TestDeleteIsRefusedWhileServed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws, other := reopen(t, dir), reopen(t, dir)
	m := register(t, ws.Models(), "m", nil)
	ep, err := ws.Endpoints().Deploy(ctx, "serve-m", endpoint.Config{Model: m, Handler: echo}, nil)
	require.NoError(t, err)
	err = other.Models().Delete(ctx, "m", 1, nil)
	require.ErrorIs(t, err, azml.ErrConflict)
	require.ErrorContains(t, err, "serve-m")
	require.NoError(t, ep.Stop(ctx))
	require.NoError(t, other.Models().Delete(ctx, "m", 1, nil))
	_, err = ws.Endpoints().Serve(ctx, "serve-m", &endpoint.ServeOptions{Handler: echo})
	require.ErrorIs(t, err, azml.ErrNotFound, "what was deleted can't be served")
}

// A deployment and a deletion at once never end with a deleted model served.
func TestDeleteAndDeployAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws, other := reopen(t, dir), reopen(t, dir)
	for n := range 10 {
		m := register(t, ws.Models(), "m", nil)
		var deployed, deleted error
		var both sync.WaitGroup
		both.Go(func() {
			_, deployed = ws.Endpoints().Deploy(ctx, fmt.Sprintf("race-%d", n), endpoint.Config{Model: m, Handler: echo}, nil)
		})
		both.Go(func() { deleted = other.Models().Delete(ctx, "m", m.Version(), nil) })
		both.Wait()
		_, err := ws.Models().Get(ctx, "m", m.Version(), nil)
		if deployed == nil {
			require.ErrorIs(t, deleted, azml.ErrConflict)
			require.NoError(t, err)
			require.NoError(t, ws.Endpoints().Delete(ctx, fmt.Sprintf("race-%d", n), nil))
		}
		if deleted == nil {
			require.ErrorIs(t, deployed, azml.ErrNotFound)
			require.ErrorIs(t, err, azml.ErrNotFound)
		}
	}
}

func TestParseID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]int{"m:7": 7, "m": model.Latest} {
		name, version, err := model.ParseID(id)
		require.NoError(t, err)
		require.Equal(t, "m", name)
		require.Equal(t, want, version)
	}
	for _, id := range []string{"", ":1", "m:", "m:0", "m:-1", "m:x", "m:1:2", "m:01", "m:+1", "m: 1", "m:99999999999999999999", "a b:1"} {
		_, _, err := model.ParseID(id)
		require.ErrorIs(t, err, azml.ErrInvalid, id)
	}
}

func TestErrorsNameTheModel(t *testing.T) {
	t.Parallel()
	models := open(t).Models()
	_, err := models.Get(t.Context(), "churn", 7, nil)
	require.ErrorContains(t, err, `get model "churn:7": not found`)
	_, err = models.Get(t.Context(), "churn", model.Latest, nil)
	require.ErrorContains(t, err, `get model "churn": not found`)
	_, err = models.Get(t.Context(), "churn", -1, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
}
