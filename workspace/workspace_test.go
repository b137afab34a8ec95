package workspace_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/datastore"
	"github.com/azml-go/azml/internal/record"
	"github.com/azml-go/azml/workspace"
)

func TestNoneWithinAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "workspace.json"), []byte(`{"projects": {}}`), 0o600))
	outer, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), options(dir))
	require.NoError(t, err, "the file is of another program")
	require.NoError(t, outer.Close(t.Context()))
	for _, below := range []string{"new", "Datastore/new/.azml"} {
		_, err = workspace.Open(t.Context(), filepath.Join(dir, "ws", below), options(dir))
		require.ErrorIs(t, err, azml.ErrInvalid)
		require.ErrorContains(t, err, "within the workspace in "+filepath.Join(dir, "ws"))
		require.NoDirExists(t, filepath.Join(dir, "ws", below))
	}
}

func TestOpenAtOnceInAnEmptyFolder(t *testing.T) {
	t.Parallel()
	for range 10 {
		dir := t.TempDir()
		ids := make([]string, 4)
		var all sync.WaitGroup
		for i := range ids {
			all.Go(func() {
				ws, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), options(dir))
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = ws.ID()
				if err := ws.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, id := range ids {
			require.Equal(t, ids[0], id)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := workspace.Open(t.Context(), filepath.Join(dir, "none"), &workspace.OpenOptions{MustExist: true})
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.NoFileExists(t, filepath.Join(dir, "none"))
	_, err = workspace.Open(t.Context(), "", nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, "thesis.txt"), nil, 0o600))
	_, err = workspace.Open(t.Context(), other, options(dir))
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "thesis.txt")
	started := t.TempDir() // as an Open that is under way leaves it
	require.NoError(t, os.Mkdir(filepath.Join(started, "audit"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(started, "probe-0123"), nil, 0o600))
	early, err := workspace.Open(t.Context(), started, options(dir))
	require.NoError(t, err)
	require.NoError(t, early.Close(t.Context()))
	opts := options(dir)
	opts.Name = "-no-"
	_, err = workspace.Open(t.Context(), filepath.Join(dir, "x"), opts)
	require.ErrorIs(t, err, azml.ErrInvalid)
	opts.Name = "mine"
	ws, err := workspace.Open(t.Context(), filepath.Join(dir, "x"), opts)
	require.NoError(t, err, "what a failed Open left is no obstacle")
	require.Equal(t, "mine", ws.Name())
	require.NoError(t, ws.Close(t.Context()))
}

// Any folder can become a workspace, whatever its name.
func TestNameIsMadeOfTheFolders(t *testing.T) {
	t.Parallel()
	for folder, want := range map[string]string{"churn": "churn", "a": "workspace-a", "a--": "workspace-a", "--": "workspace", "Größe 1": "Gr--e-1",
		".hidden": "hidden", strings.Repeat("x", 50): strings.Repeat("x", 33), strings.Repeat("x-", 40): "x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x-x"} {
		dir := t.TempDir()
		ws, err := workspace.Open(t.Context(), filepath.Join(dir, folder), options(dir))
		require.NoError(t, err, folder)
		require.Equal(t, want, ws.Name())
		require.NoError(t, ws.Close(t.Context()))
	}
}

func TestOpenOfADamagedOrNewerWorkspace(t *testing.T) {
	t.Parallel()
	for content, class := range map[string]error{"{": azml.ErrDamaged, `{"schema": "azml.workspace/2"}`: azml.ErrUnsupported, "": azml.ErrDamaged} {
		dir := t.TempDir()
		require.NoError(t, openOnly(t, dir).Close(t.Context()))
		path := filepath.Join(dir, "ws", "workspace.json")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := workspace.Open(t.Context(), filepath.Join(dir, "ws"), options(dir))
		require.ErrorIs(t, err, class)
		left, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, content, string(left), "nothing is changed")
	}
}

func TestCreateAndNewOnOtherStores(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	config := workspace.Config{Objects: memory.NewObjects(), Secrets: memory.NewSecrets(), Name: "churn", CacheDir: t.TempDir()}
	_, err := workspace.New(ctx, config)
	require.ErrorIs(t, err, azml.ErrNotFound)
	ws, err := workspace.Create(ctx, config)
	require.NoError(t, err)
	_, err = workspace.Create(ctx, config)
	require.ErrorIs(t, err, azml.ErrExists)
	config.Name = ""
	again, err := workspace.New(ctx, config)
	require.NoError(t, err)
	require.Equal(t, ws.ID(), again.ID())
	require.Equal(t, "churn", again.Name())
	_, err = ws.WriteConfig(t.TempDir())
	require.ErrorIs(t, err, azml.ErrUnsupported)
	require.NoError(t, again.Close(ctx))
	require.NoError(t, ws.Delete(ctx, &workspace.DeleteOptions{DeleteSecrets: true}))
	_, err = workspace.New(ctx, config)
	require.ErrorIs(t, err, azml.ErrNotFound)
	for info := range config.Objects.List(ctx, &backend.ListOptions{}) {
		t.Errorf("%s was left", info.Key)
	}
	_, err = workspace.New(ctx, workspace.Config{})
	require.ErrorIs(t, err, azml.ErrInvalid)

	config.Name = "churn"
	_, err = config.Objects.Put(ctx, "models/m/0000000001.json", strings.NewReader("{}"), &backend.PutOptions{})
	require.NoError(t, err)
	_, err = workspace.Create(ctx, config)
	require.ErrorIs(t, err, azml.ErrInvalid, "what a delete has left does not come back")
	require.ErrorContains(t, err, "models/")
	require.NoError(t, config.Objects.Delete(ctx, "models/m/0000000001.json", &backend.DeleteOptions{}))
	config.Name = ""
	_, err = workspace.Create(ctx, config)
	require.ErrorIs(t, err, azml.ErrInvalid, "a name is needed")
}

// careless ignores the conditions of writes.
type careless struct{ backend.Objects }

func (o careless) Put(ctx context.Context, key string, content backend.Content, _ *backend.PutOptions) (backend.Info, error) {
	return o.Objects.Put(ctx, key, content, &backend.PutOptions{})
}

func TestStoreThatIgnoresConditionsIsRefused(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	_, err := workspace.Create(t.Context(), workspace.Config{Objects: careless{objects}, Secrets: memory.NewSecrets(), Name: "churn", CacheDir: t.TempDir()})
	require.ErrorIs(t, err, azml.ErrUnsupported)
	for info := range objects.List(t.Context(), &backend.ListOptions{}) {
		t.Errorf("%s was left", info.Key)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws := open(t, dir)
	d, err := ws.Update(ctx, workspace.Update{FriendlyName: new("Our churn"), Description: new("text"), SetTags: map[string]string{"a": "1"}})
	require.NoError(t, err)
	require.Equal(t, "Our churn", d.FriendlyName)
	require.Equal(t, d, ws.Details(), "the object knows what was changed through it")
	require.Equal(t, d.Tags, open(t, dir).Details().Tags)
	for name, change := range map[string]workspace.Update{"tags": {SetTags: map[string]string{"": ""}}, "text": {Description: new(strings.Repeat("x", 5001))},
		"name": {FriendlyName: new("\xff")}} {
		_, err := ws.Update(ctx, change)
		require.ErrorIs(t, err, azml.ErrInvalid, name)
	}
}

func TestDeleteOfALocalWorkspace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ws := openOnly(t, dir)
	require.NoError(t, ws.Secrets().Set(t.Context(), "s", "v"))
	_, err := ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
	require.NoError(t, err)
	require.NoError(t, ws.Delete(t.Context(), nil))
	require.NoDirExists(t, filepath.Join(dir, "ws"))
	again := open(t, dir)
	require.NotEqual(t, ws.ID(), again.ID())
	_, err = again.Secrets().Get(t.Context(), "s")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// What is none of the workspace's stays, in a local folder as well.
func TestDeleteLeavesWhatIsOfOthers(t *testing.T) {
	t.Parallel()
	others := []string{"reports/q3.xlsx", "team/models/m/0000000001.json", "team/workspace.json"}
	put := func(objects backend.Objects) {
		for _, key := range others {
			_, err := objects.Put(t.Context(), key, strings.NewReader("{}"), &backend.PutOptions{})
			require.NoError(t, err)
		}
	}
	del := func(ws *workspace.Workspace) {
		_, err := ws.Experiments().CreateOrUpdate(t.Context(), "e", nil)
		require.NoError(t, err)
		var kept []string
		require.NoError(t, ws.Delete(t.Context(), &workspace.DeleteOptions{Kept: func(key string) { kept = append(kept, key) }}))
		require.Equal(t, others, kept)
	}
	left := func(objects backend.Objects) (keys []string) {
		for info, err := range objects.List(t.Context(), &backend.ListOptions{}) {
			require.NoError(t, err)
			keys = append(keys, info.Key)
		}
		return keys
	}
	objects := memory.NewObjects()
	ws, err := workspace.Create(t.Context(), workspace.Config{Objects: objects, Secrets: memory.NewSecrets(), Name: "churn", CacheDir: t.TempDir()})
	require.NoError(t, err)
	put(objects)
	del(ws)
	require.Equal(t, others, left(objects))

	dir := t.TempDir()
	local := openOnly(t, dir)
	require.NoError(t, local.Secrets().Set(t.Context(), "s", "v"))
	folder, err := localfs.New(filepath.Join(dir, "ws"), nil)
	require.NoError(t, err)
	put(folder)
	del(local)
	require.Equal(t, others, left(folder))
	require.NoError(t, folder.Close())
	require.NoDirExists(t, filepath.Join(dir, "ws", ".secrets"))
}

// What records name goes from a store of secrets, and the rest when that is asked for.
func TestDeleteWithSecrets(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, all := range []bool{false, true} {
		secrets, objects := memory.NewSecrets(), memory.NewObjects()
		ws, err := workspace.Create(ctx, workspace.Config{Objects: objects, Secrets: secrets, Name: "churn", CacheDir: t.TempDir()})
		require.NoError(t, err)
		_, err = ws.Datastores().Register(ctx, "web", datastore.HTTP{URL: "http://127.0.0.1:1/", BearerToken: "t"}, &datastore.RegisterOptions{SkipValidation: true})
		require.NoError(t, err)
		far, err := record.Encode(&record.Compute{Name: "far", Secret: "compute-0123"}, nil)
		require.NoError(t, err)
		risk, err := record.Encode(&record.Endpoint{Name: "Risk"}, nil)
		require.NoError(t, err)
		fresh, err := record.Encode(&record.Endpoint{Name: "fresh", Secret: "endpoint-4567"}, nil)
		require.NoError(t, err)
		for key, content := range map[string]string{"compute/far.json": string(far), "endpoints/Risk.json": string(risk), "endpoints/fresh.json": string(fresh), "datastores/broken.json": "{"} {
			_, err = objects.Put(ctx, key, strings.NewReader(content), &backend.PutOptions{})
			require.NoError(t, err)
		}
		for _, name := range []string{"compute-0123", "endpoint-Risk-primary", "endpoint-Risk-secondary", "endpoint-4567-primary", "endpoint-other-primary", "db-password"} {
			require.NoError(t, secrets.Set(ctx, name, "v"))
		}
		want, kept := []string{"secret db-password", "secret endpoint-other-primary"}, []string(nil)
		if all {
			want = nil
		}
		require.NoError(t, ws.Delete(ctx, &workspace.DeleteOptions{DeleteSecrets: all, Kept: func(what string) { kept = append(kept, what) }}))
		require.ElementsMatch(t, want, kept)
		left := []string(nil)
		for name, err := range secrets.List(ctx) {
			require.NoError(t, err)
			left = append(left, "secret "+name)
		}
		require.ElementsMatch(t, want, left)
	}
}

// TestDeleteWithoutItsSecrets has a store that secrets can't be deleted from, or objects
// can't: the workspace is there with what it had, and goes when it is deleted again.
func TestDeleteWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	secrets, objects := memory.NewSecrets(), memory.NewObjects()
	ws, err := workspace.Create(ctx, workspace.Config{Objects: objects, Secrets: secrets, Name: "churn", CacheDir: t.TempDir()})
	require.NoError(t, err)
	require.NoError(t, ws.Close(ctx))
	require.NoError(t, secrets.Set(ctx, "one", "v"))
	require.NoError(t, secrets.Set(ctx, "two", "v"))
	left := func() (names []string) {
		for name, err := range secrets.List(ctx) {
			require.NoError(t, err)
			names = append(names, name)
		}
		return names
	}
	for _, test := range []struct {
		objects backend.Objects
		secrets backend.Secrets
		says    string
		left    []string
	}{
		{objects, faulty.NewSecrets(secrets, faulty.Plan{Errors: 1}), "nothing was deleted", []string{"one", "two"}},
		{&ill{Objects: objects, denies: "delete"}, secrets, "nothing was deleted", []string{"one", "two"}},
		{objects, faulty.NewSecrets(secrets, faulty.Plan{StopAfterWrites: 1}), "delete it again", []string{"two"}},
		{objects, secrets, "", nil},
	} {
		ws, err := workspace.New(ctx, workspace.Config{Objects: test.objects, Secrets: test.secrets, Vault: "https://contoso.vault.azure.net", CacheDir: t.TempDir()})
		require.NoError(t, err, "the workspace is there")
		err = ws.Delete(ctx, &workspace.DeleteOptions{DeleteSecrets: true})
		require.Equal(t, test.left, left())
		if test.says == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, test.says)
		require.NoError(t, ws.Close(ctx))
	}
}

// A vault that the record alone names is emptied for who names it, and no other.
func TestDeleteNeedsTheVaultNamed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	const vault = "https://contoso.vault.azure.net"
	secrets, objects := memory.NewSecrets(), memory.NewObjects()
	config := workspace.Config{Objects: objects, Secrets: secrets, Vault: vault, Name: "churn", CacheDir: t.TempDir()}
	ws, err := workspace.Create(ctx, config)
	require.NoError(t, err)
	require.NoError(t, secrets.Set(ctx, "db-password", "v"))
	require.Equal(t, workspace.VaultSourceCaller, ws.Details().VaultSource)
	require.ErrorIs(t, ws.Delete(ctx, &workspace.DeleteOptions{Vault: vault + ".cn"}), azml.ErrInvalid)
	require.NoError(t, ws.Close(ctx))

	config.Secrets, config.Vault = nil, ""
	config.OpenSecrets = func(string) (backend.Secrets, error) { return secrets, nil }
	ws, err = workspace.New(ctx, config)
	require.NoError(t, err)
	require.Equal(t, vault, ws.Details().Vault)
	require.Equal(t, workspace.VaultSourceRecord, ws.Details().VaultSource)
	found, err := ws.Doctor(ctx)
	require.NoError(t, err)
	require.Contains(t, found, workspace.Finding{Check: "secrets", Level: workspace.LevelInformation, Message: "secrets are in the key vault " + vault + ", which the workspace's record names"})
	err = ws.Delete(ctx, &workspace.DeleteOptions{DeleteSecrets: true})
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "--vault")
	_, err = secrets.Get(ctx, "db-password")
	require.NoError(t, err)
	require.NoError(t, ws.Delete(ctx, &workspace.DeleteOptions{DeleteSecrets: true, Vault: vault}))
	_, err = secrets.Get(ctx, "db-password")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	secrets := open(t, dir).Secrets()
	for _, name := range []string{"b", "a"} {
		require.NoError(t, secrets.Set(ctx, name, "value-of-"+name))
	}
	require.NoError(t, secrets.Set(ctx, "a", "topsecret-2"))
	value, err := open(t, dir).Secrets().Get(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, "topsecret-2", value)
	var names []string
	for name, err := range secrets.List(ctx) {
		require.NoError(t, err)
		names = append(names, name)
	}
	require.Equal(t, []string{"a", "b"}, names)
	require.ErrorIs(t, secrets.Set(ctx, "a_b", "topsecret-3"), azml.ErrInvalid)
	_, err = secrets.Get(ctx, "../x")
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.NoError(t, secrets.Delete(ctx, "a"))
	require.ErrorIs(t, secrets.Delete(ctx, "a"), azml.ErrNotFound)
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "ws"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		require.NotContains(t, string(data), "topsecret", path)
		return err
	}))
}

func config(t *testing.T, dir, name string, content any) string {
	t.Helper()
	data, err := json.Marshal(content)
	require.NoError(t, err)
	path := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// The files are looked for in Azure ML's order: folder by folder, name by name,
// each upwards to the root before the next.
func TestFromConfigSearchOrder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b")
	order := []string{"a/b/.azureml/config.json", ".azureml/config.json", "a/.azureml/project.json", "a/b/aml_config/config.json",
		"aml_config/project.json", "a/b/config.json", "a/project.json"}
	want := map[string]string{}
	for n, name := range order {
		location := filepath.Join(root, fmt.Sprintf("ws%d", n))
		ws, err := workspace.Open(t.Context(), location, options(root))
		require.NoError(t, err)
		want[name] = ws.ID()
		require.NoError(t, ws.Close(t.Context()))
		config(t, root, name, map[string]string{"workspace_name": "x", "location": location})
	}
	require.NoError(t, os.MkdirAll(deep, 0o755))
	for _, name := range order {
		ws, err := workspace.FromConfig(t.Context(), deep, options(root))
		require.NoError(t, err)
		require.Equal(t, want[name], ws.ID(), name)
		require.NoError(t, ws.Close(t.Context()))
		ws, err = workspace.FromConfig(t.Context(), filepath.Join(root, name), options(root))
		require.NoError(t, err, "the file itself")
		require.Equal(t, want[name], ws.ID())
		require.NoError(t, ws.Close(t.Context()))
		require.NoError(t, os.Remove(filepath.Join(root, name)))
	}
	_, err := workspace.FromConfig(t.Context(), deep, options(root))
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestFromConfigRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	azure := config(t, dir, "azure.json", map[string]string{"subscription_id": "s", "resource_group": "g", "workspace_name": "w"})
	_, err := workspace.FromConfig(t.Context(), azure, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	require.ErrorContains(t, err, "location")
	_, err = workspace.FromConfig(t.Context(), config(t, dir, "list.json", []int{1}), nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
	_, err = workspace.FromConfig(t.Context(), config(t, dir, "gone.json", map[string]string{"location": "gone"}), options(dir))
	require.ErrorIs(t, err, azml.ErrNotFound)
	require.NoDirExists(t, filepath.Join(dir, "gone"))
	_, err = workspace.FromConfig(t.Context(), filepath.Join(dir, "none"), nil)
	require.ErrorIs(t, err, azml.ErrNotFound)
}

func TestWriteConfig(t *testing.T) {
	t.Parallel()
	for where, relative := range map[string]bool{"": true, "sub": false, "../elsewhere": false} {
		root := t.TempDir()
		dir := filepath.Join(root, "project")
		ws := open(t, dir)
		path, err := ws.WriteConfig(filepath.Join(dir, where))
		require.NoError(t, err)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		var c map[string]string
		require.NoError(t, json.Unmarshal(data, &c))
		require.Equal(t, relative, !filepath.IsAbs(c["location"]), "%q: only what lies below can move together", where)
		again, err := workspace.FromConfig(t.Context(), filepath.Dir(path), options(dir))
		require.NoError(t, err)
		require.Equal(t, ws.ID(), again.ID())
		require.NoError(t, again.Close(t.Context()))
	}
}
