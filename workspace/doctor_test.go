package workspace_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/keyvault"
	"github.com/azml-go/azml/backend/keyvault/keyvaulttest"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/workspace"
)

// ill is a store with a fault. The zero ill is sound.
type ill struct {
	backend.Objects
	careless bool                               // passes conditions over
	denies   string                             // a request that is refused
	ahead    time.Duration                      // of its clock
	slow     time.Duration                      // of each read
	keeps    func() (backend.Protection, error) // nil for a store that can't tell
}

func (s *ill) try(request string) error {
	if s.denies == request {
		return fmt.Errorf("%w: you may not %s", azml.ErrDenied, request)
	}
	return nil
}

func (s *ill) Put(ctx context.Context, key string, content backend.Content, opts *backend.PutOptions) (backend.Info, error) {
	if err := s.try("put"); err != nil {
		return backend.Info{}, err
	}
	if s.careless {
		opts = &backend.PutOptions{}
	}
	info, err := s.Objects.Put(ctx, key, content, opts)
	info.Modified = info.Modified.Add(s.ahead)
	return info, err
}

func (s *ill) Get(ctx context.Context, key string, opts *backend.GetOptions) (*backend.Object, error) {
	time.Sleep(s.slow)
	if err := s.try("get"); err != nil && strings.HasPrefix(key, "probe-") {
		return nil, err
	}
	return s.Objects.Get(ctx, key, opts)
}

func (s *ill) Append(ctx context.Context, key string, offset int64, data []byte) (backend.Info, error) {
	if err := s.try("append"); err != nil {
		return backend.Info{}, err
	}
	return s.Objects.Append(ctx, key, offset, data)
}

func (s *ill) Delete(ctx context.Context, key string, opts *backend.DeleteOptions) error {
	if err := s.try("delete"); err != nil {
		return err
	}
	return s.Objects.Delete(ctx, key, opts)
}

func (s *ill) List(ctx context.Context, opts *backend.ListOptions) iter.Seq2[backend.Info, error] {
	if err := s.try("list"); err != nil {
		return func(yield func(backend.Info, error) bool) { yield(backend.Info{}, err) }
	}
	return s.Objects.List(ctx, opts)
}

// telling is an ill store that can tell how it keeps things.
type telling struct{ ill }

func (s *telling) Protection(context.Context) (backend.Protection, error) {
	return s.keeps()
}

// none is a secret store that a workspace hasn't got.
type none struct{ backend.Secrets }

func (none) Set(context.Context, string, string) error {
	return fmt.Errorf("%w: there is no secret store", azml.ErrUnsupported)
}

// vault gives secrets in a key vault in which the caller may do this alone.
func vault(t *testing.T, may ...keyvaulttest.Permission) backend.Secrets {
	t.Helper()
	v := keyvaulttest.Start(&keyvaulttest.Options{Permissions: may})
	t.Cleanup(v.Close)
	s, err := keyvault.New(v.URL(), v.Credential(), &keyvault.Options{Client: v.ClientOptions()})
	require.NoError(t, err)
	return s
}

// sick opens a workspace that was created on sound stores and got these after.
func sick(t *testing.T, store func(backend.Objects) backend.Objects, secrets backend.Secrets) (*workspace.Workspace, *memory.Objects, string) {
	t.Helper()
	objects, cache := memory.NewObjects(), filepath.Join(t.TempDir(), "cache")
	created, err := workspace.Create(t.Context(), workspace.Config{Objects: objects, Secrets: memory.NewSecrets(), Name: "patient", CacheDir: cache})
	require.NoError(t, err)
	require.NoError(t, created.Close(t.Context()))
	if secrets == nil {
		secrets = memory.NewSecrets()
	}
	ws, err := workspace.New(t.Context(), workspace.Config{Objects: store(objects), Secrets: secrets, CacheDir: cache})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ws.Close(context.Background())) })
	return ws, objects, cache
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	with := func(fault ill) func(backend.Objects) backend.Objects {
		return func(sound backend.Objects) backend.Objects { fault.Objects = sound; return &fault }
	}
	keeping := func(kept time.Duration, versions bool, err error) func(backend.Objects) backend.Objects {
		return func(sound backend.Objects) backend.Objects {
			return &telling{ill{Objects: sound, keeps: func() (backend.Protection, error) {
				return backend.Protection{SoftDelete: kept, Versions: versions}, err
			}}}
		}
	}
	all := []keyvaulttest.Permission{"get", "list", "set", "delete", "recover", "purge"}
	but := func(left keyvaulttest.Permission) []keyvaulttest.Permission {
		return slices.DeleteFunc(slices.Clone(all), func(p keyvaulttest.Permission) bool { return p == left })
	}
	for name, tc := range map[string]struct {
		store   func(backend.Objects) backend.Objects
		secrets backend.Secrets
		// want are the findings that are no mere information, as "level check:
		// what the message holds", in their order.
		want []string
		told string // part of a piece of information
		fix  string // part of what to do about the first finding
	}{
		"sound":               {store: with(ill{}), told: "honours the conditions"},
		"careless":            {store: with(ill{careless: true}), want: []string{"Error conditions: does not honour"}, fix: "another store"},
		"read only":           {store: with(ill{denies: "put"}), want: []string{"Error conditions: you may not put"}, fix: "Storage Blob Data Contributor"},
		"may not append":      {store: with(ill{denies: "append"}), want: []string{"Error permissions: you may not append"}, fix: "Storage Blob Data Contributor"},
		"may not read":        {store: with(ill{denies: "get"}), want: []string{"Error permissions: you may not get"}},
		"may not list":        {store: with(ill{denies: "list"}), want: []string{"Error permissions: you may not list"}},
		"may not delete":      {store: with(ill{denies: "delete"}), want: []string{"Error conditions: you may not delete"}},
		"a little late":       {store: with(ill{ahead: 20 * time.Second}), want: []string{"Warning clock: ahead of this machine's by 20s"}, fix: "NTP"},
		"an hour early":       {store: with(ill{ahead: -time.Hour}), want: []string{"Error clock: behind this machine's by 59m"}, fix: "NTP"},
		"half a second off":   {store: with(ill{ahead: -500 * time.Millisecond}), told: "agree"},
		"far away":            {store: with(ill{slow: 550 * time.Millisecond}), want: []string{"Warning latency: a small read takes"}, fix: "region"},
		"no secrets":          {store: with(ill{}), secrets: none{}, want: []string{"Warning secrets: no secret store"}, fix: "key vault"},
		"a vault":             {store: with(ill{}), secrets: vault(t), told: "secrets can be set"},
		"may not set":         {store: with(ill{}), secrets: vault(t, but("set")...), want: []string{"Error secrets: setting a secret"}, fix: "Key Vault Secrets Officer"},
		"may not get":         {store: with(ill{}), secrets: vault(t, but("get")...), want: []string{"Error secrets: reading a secret"}},
		"may not list them":   {store: with(ill{}), secrets: vault(t, but("list")...), want: []string{"Error secrets: listing secrets"}},
		"may not delete them": {store: with(ill{}), secrets: vault(t, but("delete")...), want: []string{"Error secrets: deleting a secret"}},
		"no soft delete":      {store: keeping(0, false, nil), want: []string{"Warning protection: deleted objects can't be had back"}, fix: "data protection"},
		"soft delete":         {store: keeping(7*24*time.Hour, false, nil), told: "deleted objects can be had back for 7 days, replaced ones can't"},
		"and versions":        {store: keeping(7*24*time.Hour, true, nil), told: "deleted objects can be had back for 7 days, and so can replaced ones"},
		"versions alone":      {store: keeping(0, true, nil), told: "they stay as versions"},
		"a fresh vault":       {store: with(ill{}), secrets: vault(t), told: "deleted secrets can be had back for 90 days"},
		"may not ask":         {store: keeping(0, false, azml.ErrDenied), told: "is not known"},
		"broken settings":     {store: keeping(0, false, azml.ErrUnavailable), want: []string{"Error protection: unavailable"}, fix: "network"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ws, objects, _ := sick(t, tc.store, tc.secrets)
			found, err := ws.Doctor(t.Context())
			require.NoError(t, err)
			var noted []workspace.Finding
			told := ""
			for _, f := range found {
				if f.Level == workspace.LevelInformation {
					require.Empty(t, f.Fix)
					told += f.Message + "\n"
				} else {
					noted = append(noted, f)
				}
			}
			require.Len(t, noted, len(tc.want), "%v", noted)
			for i, want := range tc.want {
				head, text, _ := strings.Cut(want, ": ")
				require.Equal(t, head, string(noted[i].Level)+" "+noted[i].Check)
				require.Contains(t, noted[i].Message, text)
				require.NotEmpty(t, noted[i].Fix)
			}
			if tc.fix != "" {
				require.Contains(t, noted[0].Fix, tc.fix)
			}
			require.Contains(t, told, tc.told)
			if name != "may not delete" {
				for info := range objects.List(t.Context(), &backend.ListOptions{Prefix: "probe-"}) {
					t.Errorf("%s was left", info.Key)
				}
			}
		})
	}
}

func TestDoctorTwiceInAVault(t *testing.T) {
	t.Parallel()
	v := keyvaulttest.Start(&keyvaulttest.Options{SettleTime: 50 * time.Millisecond})
	t.Cleanup(v.Close)
	s, err := keyvault.New(v.URL(), v.Credential(), &keyvault.Options{Client: v.ClientOptions()})
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), "mine", "1"))
	ws, _, _ := sick(t, func(o backend.Objects) backend.Objects { return o }, s)
	for range 2 {
		found, err := ws.Doctor(t.Context())
		require.NoError(t, err)
		for _, f := range found {
			require.Equal(t, workspace.LevelInformation, f.Level, "%v", f)
		}
		require.Contains(t, found[len(found)-1].Message, "deleted secrets can be had back for 90 days, and so can replaced ones")
	}
	require.Equal(t, 1, v.Requests()["RecoverDeletedSecret"])
	for name, err := range s.List(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, "mine", name)
	}
}

func TestDoctorFindsAFolderThatIsGone(t *testing.T) {
	t.Parallel()
	ws, _, cache := sick(t, func(o backend.Objects) backend.Objects { return o }, nil)
	require.NoError(t, os.RemoveAll(cache))
	require.NoError(t, os.WriteFile(cache, nil, 0o600))
	found, err := ws.Doctor(t.Context())
	require.NoError(t, err)
	errs := 0
	for _, f := range found {
		if f.Level == workspace.LevelError {
			require.Equal(t, "folders", f.Check)
			errs++
		}
	}
	require.Equal(t, 2, errs)
}

func TestDoctorEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ws, _, _ := sick(t, func(o backend.Objects) backend.Objects { return o }, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	found, err := ws.Doctor(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.Nil(t, found)
}
