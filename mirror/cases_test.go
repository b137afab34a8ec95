package mirror_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend"
	"github.com/azml-go/azml/backend/faulty"
	"github.com/azml-go/azml/backend/memory"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/mirror"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

func tag(t testing.TB, ws *workspace.Workspace, id, value string) {
	t.Helper()
	r, err := ws.Runs().Get(t.Context(), id, nil)
	require.NoError(t, err)
	require.NoError(t, r.Tag(t.Context(), "v", value))
}

func tagOf(t testing.TB, ws *workspace.Workspace, id string) string {
	t.Helper()
	r, err := ws.Runs().Get(t.Context(), id, nil)
	require.NoError(t, err)
	return r.Details().Tags["v"]
}

// TestConflictOfARun changes a run on both sides, and decides in every way.
func TestConflictOfARun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		resolve    func(mirror.Conflict) mirror.Choice
		here, back string // the tag in the destination, and in the source after a sync back
	}{
		"nobody decides": {nil, "cloud", "laptop"},
		"left":           {func(mirror.Conflict) mirror.Choice { return mirror.Leave }, "cloud", "laptop"},
		"both":           {func(mirror.Conflict) mirror.Choice { return mirror.Both }, "cloud", "laptop"},
		"source":         {mirror.PreferSource, "laptop", "laptop"},
		"destination":    {mirror.PreferDestination, "cloud", "cloud"},
		"newer":          {mirror.PreferNewer, "cloud", "cloud"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud, laptop := pair(t)
			trained(t, laptop, "churn", "r1")
			clean(t, cloud, laptop)
			tag(t, laptop, "r1", "laptop")
			tag(t, cloud, "r1", "cloud")
			report := synced(t, cloud, laptop, &mirror.Options{Resolve: test.resolve})
			require.Len(t, report.Conflicts, 1)
			c := report.Conflicts[0]
			require.Equal(t, [2]string{"run", "r1"}, [2]string{c.Kind, c.Name})
			require.True(t, c.Destination.Modified.After(c.Source.Modified))
			require.Equal(t, "Completed, tags.v=laptop", c.Source.Detail)
			require.Equal(t, "Completed, tags.v=cloud", c.Destination.Detail)
			require.NotEmpty(t, c.Source.CreatedBy)
			require.Equal(t, test.here == test.back, len(report.Open()) == 0)
			require.Equal(t, test.here, tagOf(t, cloud, "r1"))
			if len(report.Open()) > 0 {
				again := synced(t, cloud, laptop, nil)
				require.Len(t, again.Open(), 1, "it is met again")
				return
			}
			require.Empty(t, synced(t, cloud, laptop, nil).Conflicts, "a decision is for good")
			clean(t, laptop, cloud)
			require.Equal(t, test.back, tagOf(t, laptop, "r1"), "and known in the source after a sync back")
			tag(t, laptop, "r1", "later")
			clean(t, cloud, laptop)
			require.Equal(t, "later", tagOf(t, cloud, "r1"))
		})
	}
}

// TestConflictSaysWhatDiffers, shortly.
func TestConflictSaysWhatDiffers(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	_, err := laptop.Experiments().CreateOrUpdate(ctx, "churn", nil)
	require.NoError(t, err)
	clean(t, cloud, laptop)
	_, err = laptop.Experiments().CreateOrUpdate(ctx, "churn", &experiment.CreateOptions{
		Description: strings.Repeat("words\n", 20), Tags: map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}})
	require.NoError(t, err)
	_, err = cloud.Experiments().CreateOrUpdate(ctx, "churn", &experiment.CreateOptions{Tags: map[string]string{"a": "1", "b": "other"}})
	require.NoError(t, err)
	open := synced(t, cloud, laptop, nil).Open()
	require.Len(t, open, 1)
	require.Equal(t, "description="+strings.Repeat("words ", 6)+"word…, tags.b=2, tags.c=3, 1 more", open[0].Source.Detail)
	require.Equal(t, "no description, tags.b=other, no tags.c, 1 more", open[0].Destination.Detail)
}

// TestNewerIsNeverReplaced: the destination is ahead.
func TestNewerIsNeverReplaced(t *testing.T) {
	t.Parallel()
	cloud, laptop := pair(t)
	trained(t, laptop, "churn", "r1")
	clean(t, cloud, laptop)
	tag(t, cloud, "r1", "cloud")
	require.Zero(t, synced(t, cloud, laptop, &mirror.Options{Resolve: mirror.PreferSource, Verify: true}).Changes())
	require.Equal(t, "cloud", tagOf(t, cloud, "r1"))
	clean(t, laptop, cloud)
	require.Equal(t, "cloud", tagOf(t, laptop, "r1"))
}

// TestSameNumberTwice: both sides have given version 1 of a model, and number 1 of
// an experiment, to different things.
func TestSameNumberTwice(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	trained(t, cloud, "churn", "c1")
	trained(t, laptop, "churn", "l1")
	require.NoError(t, laptop.Models().SetAlias(ctx, "churn", "champion", 1, nil))
	report := synced(t, cloud, laptop, nil)
	require.Len(t, report.Renumbered, 2, "the run and its child")
	require.Len(t, report.Open(), 1)
	require.Equal(t, "model", report.Open()[0].Kind)
	require.Equal(t, "from run l1", report.Open()[0].Source.Detail)
	require.Equal(t, "from run c1", report.Open()[0].Destination.Detail)
	_, err := cloud.Models().GetByAlias(ctx, "churn", "champion", nil)
	require.ErrorIs(t, err, azml.ErrNotFound, "an alias never points to what it was not meant for")
	sound(t, cloud)

	report = synced(t, cloud, laptop, &mirror.Options{Resolve: func(mirror.Conflict) mirror.Choice { return mirror.Both }})
	require.Empty(t, report.Open())
	require.Equal(t, []mirror.Renumbering{{Kind: "model", Name: "churn", From: "1", To: "2"}}, report.Renumbered)
	m, err := cloud.Models().GetByAlias(ctx, "churn", "champion", nil)
	require.NoError(t, err)
	require.Equal(t, 2, m.Version())
	require.Equal(t, "l1", m.RunID())
	require.Empty(t, synced(t, cloud, laptop, nil).Conflicts)
	sound(t, cloud)
	r, err := cloud.Runs().Get(ctx, "l1", nil)
	require.NoError(t, err)
	require.Equal(t, 3, r.Details().Number)
}

// TestEnvironmentOfAnotherContent: version 1 of an environment is something else in
// the destination.
func TestEnvironmentOfAnotherContent(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	for ws, pip := range map[*workspace.Workspace]string{cloud: "numpy", laptop: "pandas"} {
		_, err := ws.Environments().Register(ctx, environment.Spec{Name: "env", Python: environment.Python{Pip: []string{pip}}}, nil)
		require.NoError(t, err)
	}
	report := clean(t, cloud, laptop)
	require.Equal(t, []mirror.Renumbering{{Kind: "environment", Name: "env", From: "1", To: "2"}}, report.Renumbered)
	e, err := cloud.Environments().Get(ctx, "env", "2", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"pandas"}, e.Spec().Python.Pip)
	require.Zero(t, clean(t, cloud, laptop).Changes())
	clean(t, laptop, cloud)
}

// TestTwoRunsOfOneID are never mixed.
func TestTwoRunsOfOneID(t *testing.T) {
	t.Parallel()
	cloud, laptop := pair(t)
	for _, ws := range []*workspace.Workspace{cloud, laptop} {
		e, err := ws.Experiments().CreateOrUpdate(t.Context(), "churn", nil)
		require.NoError(t, err)
		_, err = e.Run(t.Context(), func(_ context.Context, r *run.Run) error { return r.Log("loss", 1.0, nil) }, &experiment.RunOptions{RunID: "same"})
		require.NoError(t, err)
	}
	report := synced(t, cloud, laptop, &mirror.Options{Resolve: mirror.PreferSource})
	require.Len(t, report.Open(), 1)
	r, err := cloud.Runs().Get(t.Context(), "same", nil)
	require.NoError(t, err)
	sums, err := r.Summaries(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, sums["loss"].Count)
}

// TestDeletions: what was deleted on one side stays on the other unless it is asked
// for, and does not come again.
func TestDeletions(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	for _, id := range []string{"r1", "r2", "r3", "r4"} {
		trained(t, laptop, "churn", id)
	}
	trained(t, cloud, "risk", "own")
	resolve := func(mirror.Conflict) mirror.Choice { return mirror.Both }
	synced(t, cloud, laptop, &mirror.Options{Resolve: resolve})
	require.NoError(t, cloud.Runs().Delete(ctx, "r1", nil))
	require.NoError(t, laptop.Runs().Delete(ctx, "r2", nil))
	require.NoError(t, laptop.Runs().Delete(ctx, "r3", nil))
	require.NoError(t, laptop.Models().Delete(ctx, "churn", 3, nil))
	tag(t, cloud, "r3", "changed")
	has := func(id string) bool {
		_, err := cloud.Runs().Get(ctx, id, nil)
		return err == nil
	}
	versions := func() (n int) {
		for _, err := range cloud.Models().List(ctx, nil) {
			require.NoError(t, err)
			n++
		}
		return n
	}
	before := versions()
	report := synced(t, cloud, laptop, &mirror.Options{Verify: true})
	require.Contains(t, report.Kept, mirror.Kept{Kind: "run", Name: "r1", DeletedIn: "cloud"})
	require.False(t, has("r1"), "it was deleted here")
	require.True(t, has("r2"), "nobody asked for its deletion")
	require.Equal(t, before, versions())

	dry := synced(t, cloud, laptop, &mirror.Options{Delete: true, DryRun: true})
	require.Equal(t, 1, dry.Runs.Deleted)
	require.True(t, has("r2"))

	report = synced(t, cloud, laptop, &mirror.Options{Delete: true})
	require.Equal(t, 1, report.Runs.Deleted)
	require.Equal(t, 1, report.Versions.Deleted)
	require.False(t, has("r2"))
	require.True(t, has("r3"), "it was changed since it came")
	require.Equal(t, "it was deleted in the source, and changed in the destination", report.Open()[0].Reason)
	require.True(t, has("r4"))
	require.True(t, has("own"), "it never was in the source")
	require.Equal(t, before-1, versions())
	sound(t, cloud)
	report = synced(t, cloud, laptop, &mirror.Options{Delete: true, Resolve: mirror.PreferSource})
	require.Equal(t, 1, report.Runs.Deleted)
	require.False(t, has("r3"))
	require.True(t, has("own"))
	sound(t, cloud)
}

// TestSelection brings runs, experiments and models with what they need and no more.
func TestSelection(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	laptop := created(t, "laptop", memory.NewObjects())
	trained(t, laptop, "churn", "r1")
	trained(t, laptop, "churn", "r2")
	trained(t, laptop, "risk", "r3")
	for name, test := range map[string]struct {
		opts     mirror.Options
		runs     []string
		versions int
	}{
		"a run":              {mirror.Options{Runs: []string{"r2"}}, []string{"r2", "r2-child"}, 2},
		"a child":            {mirror.Options{Runs: []string{"r1-child"}}, []string{"r1", "r1-child"}, 1},
		"an experiment":      {mirror.Options{Experiments: []string{"risk"}}, []string{"r3", "r3-child"}, 3},
		"a model":            {mirror.Options{Models: []string{"churn"}}, nil, 3},
		"a run and a model":  {mirror.Options{Runs: []string{"r1"}, Models: []string{"churn"}}, []string{"r1", "r1-child"}, 3},
		"two of one sort":    {mirror.Options{Runs: []string{"r1", "r3"}}, []string{"r1", "r1-child", "r3", "r3-child"}, 3},
		"an experiment, all": {mirror.Options{Experiments: []string{"churn"}}, []string{"r1", "r1-child", "r2", "r2-child"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := created(t, "cloud", memory.NewObjects())
			synced(t, cloud, laptop, &test.opts)
			var runs []string
			for r, err := range cloud.Runs().List(ctx, nil) {
				require.NoError(t, err)
				runs = append(runs, r.ID())
			}
			require.ElementsMatch(t, test.runs, runs)
			versions := 0
			for _, err := range cloud.Models().List(ctx, nil) {
				require.NoError(t, err)
				versions++
			}
			require.Equal(t, test.versions, versions)
			sound(t, cloud)
			clean(t, cloud, laptop)
		})
	}
	cloud := created(t, "cloud", memory.NewObjects())
	for _, opts := range []mirror.Options{{Runs: []string{"none"}}, {Experiments: []string{"none"}}, {Models: []string{"none"}}} {
		_, err := workspace.Sync(ctx, cloud, laptop, &opts)
		require.ErrorIs(t, err, azml.ErrNotFound)
		require.ErrorContains(t, err, "none")
	}
}

// TestDryRun says what a sync does then, and writes nothing on either side.
func TestDryRun(t *testing.T) {
	t.Parallel()
	here, there := memory.NewObjects(), memory.NewObjects()
	cloud, laptop := created(t, "cloud", here), created(t, "laptop", there)
	trained(t, laptop, "churn", "r1")
	trained(t, laptop, "churn", "r2")
	counting, reading := faulty.New(here, faulty.Plan{}), faulty.New(there, faulty.Plan{})
	report := synced(t, opened(t, counting, t.TempDir()), opened(t, reading, t.TempDir()), &mirror.Options{DryRun: true})
	require.Zero(t, counting.Counts().Writes)
	require.Zero(t, reading.Counts().Writes)
	done := clean(t, cloud, laptop)
	require.Equal(t, done.Runs, report.Runs)
	require.Equal(t, done.Versions, report.Versions)
	require.Equal(t, done.Experiments, report.Experiments)
	require.Equal(t, done.ChunkBytes, report.ChunkBytes)
	require.Equal(t, done.Chunks, report.Chunks)
}

// TestDryRunOfEqualWorkspaces has nothing to bring, though each side has the
// points in a form of its own.
func TestDryRunOfEqualWorkspaces(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	there := memory.NewObjects()
	laptop, cloud := created(t, "laptop", there), created(t, "cloud", memory.NewObjects())
	e, err := laptop.Experiments().CreateOrUpdate(ctx, "churn", nil)
	require.NoError(t, err)
	r, err := e.StartLogging(ctx, &experiment.RunOptions{RunID: "r1"})
	require.NoError(t, err)
	for i := range 4 {
		require.NoError(t, r.Log("loss", float64(i), nil))
		require.NoError(t, r.Flush(ctx))
		if i == 1 {
			clean(t, cloud, laptop)
		}
	}
	clean(t, cloud, laptop)
	require.NoError(t, r.Complete(ctx))
	require.Eventually(t, func() bool { return !holds(t, there, ".seg") }, time.Minute, time.Millisecond)
	clean(t, cloud, laptop)
	for _, ws := range [][2]*workspace.Workspace{{cloud, laptop}, {laptop, cloud}} {
		report := synced(t, ws[0], ws[1], &mirror.Options{DryRun: true, Verify: true})
		require.Zero(t, report.Changes())
		require.Zero(t, report.Bytes())
	}
}

// TestSecretsAreNotBrought but named.
func TestSecretsAreNotBrought(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	require.NoError(t, laptop.Secrets().Set(ctx, "token", "hidden"))
	require.NoError(t, laptop.Secrets().Set(ctx, "common", "hidden"))
	require.NoError(t, cloud.Secrets().Set(ctx, "Common", "other"))
	require.Equal(t, []string{"token"}, synced(t, cloud, laptop, nil).MissingSecrets)
	_, err := cloud.Secrets().Get(ctx, "token")
	require.ErrorIs(t, err, azml.ErrNotFound)
}

// TestSecretsThatAreAskedFor are brought where they are lacking, and nowhere else.
func TestSecretsThatAreAskedFor(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	cloud, laptop := pair(t)
	for name, value := range map[string]string{"Token": "t", "common": "mine", "compute-password": "p", "datastore-0123456789abcdef": "c", "endpoint-0123456789abcdef-primary": "k"} {
		require.NoError(t, laptop.Secrets().Set(ctx, name, value))
	}
	require.NoError(t, cloud.Secrets().Set(ctx, "Common", "other"))
	require.Equal(t, []string{"Token", "compute-password"}, synced(t, cloud, laptop, nil).MissingSecrets, "what is of one place is not lacking elsewhere")
	require.Equal(t, mirror.Tally{Created: 2, Unchanged: 1}, synced(t, cloud, laptop, &mirror.Options{Secrets: true, DryRun: true}).Secrets)
	report := synced(t, cloud, laptop, &mirror.Options{Secrets: true})
	require.Equal(t, mirror.Tally{Created: 2, Unchanged: 1}, report.Secrets)
	require.Empty(t, report.MissingSecrets)
	require.Equal(t, mirror.Tally{Unchanged: 3}, synced(t, cloud, laptop, &mirror.Options{Secrets: true}).Secrets)
	var names []string
	for name, err := range cloud.Secrets().List(ctx) {
		require.NoError(t, err)
		names = append(names, name)
	}
	require.Equal(t, []string{"Common", "compute-password", "Token"}, names)
	values, err := cloud.Secrets().GetMany(ctx, names...)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"Common": "other", "compute-password": "p", "Token": "t"}, values)
}

// disabled are secrets of which one is disabled.
type disabled struct{ backend.Secrets }

func (d disabled) Get(ctx context.Context, name string) (string, error) {
	if name == "off" {
		return "", fmt.Errorf("%w: the secret is disabled: enable it", azml.ErrDenied)
	}
	return d.Secrets.Get(ctx, name)
}

// TestSecretsThatCantBeBrought: one that is not handed out is listed, and a store that
// refuses is an error that says which.
func TestSecretsThatCantBeBrought(t *testing.T) {
	t.Parallel()
	ctx, vault := t.Context(), memory.NewSecrets()
	with := func(name string, secrets backend.Secrets) *workspace.Workspace {
		ws, err := workspace.Create(ctx, workspace.Config{Objects: memory.NewObjects(), Secrets: secrets, Name: name, CacheDir: t.TempDir()})
		require.NoError(t, err)
		closed(t, ws)
		return ws
	}
	laptop := with("laptop", disabled{vault})
	require.NoError(t, laptop.Secrets().Set(ctx, "off", "1"))
	require.NoError(t, laptop.Secrets().Set(ctx, "on", "2"))
	all := &mirror.Options{Secrets: true}
	report := synced(t, with("cloud", memory.NewSecrets()), laptop, all)
	require.Equal(t, 1, report.Secrets.Created)
	require.Equal(t, []mirror.Damage{{Kind: "secret", Name: "off", Problem: "permission denied: the secret is disabled: enable it"}}, report.Damaged)
	_, err := workspace.Sync(ctx, with("closed", unlisted{memory.NewSecrets(), azml.ErrDenied}), laptop, all)
	require.ErrorIs(t, err, azml.ErrDenied)
	require.ErrorContains(t, err, "the destination, workspace closed")

	objects := memory.NewObjects()
	named, err := workspace.Create(ctx, workspace.Config{Objects: objects, Secrets: vault, Vault: "https://contoso.vault.azure.net", Name: "named", CacheDir: t.TempDir()})
	require.NoError(t, err)
	closed(t, named)
	found, err := workspace.New(ctx, workspace.Config{Objects: objects, OpenSecrets: func(string) (backend.Secrets, error) { return vault, nil }, CacheDir: t.TempDir()})
	require.NoError(t, err)
	closed(t, found)
	_, err = workspace.Sync(ctx, found, laptop, all)
	require.ErrorIs(t, err, azml.ErrInvalid, "anybody may have put the vault into the record")
	require.ErrorContains(t, err, "name it by ?vault=")
	require.ErrorIs(t, workspace.Follow(ctx, found, laptop, &mirror.FollowOptions{Options: *all}), azml.ErrInvalid)
}

// unlisted are secrets whose names can't be had.
type unlisted struct {
	backend.Secrets
	err error
}

func (u unlisted) List(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("", u.err) }
}

// TestSecretsThatCantBeListed: without a store all are lacking, and where it refuses,
// the report says so.
func TestSecretsThatCantBeListed(t *testing.T) {
	t.Parallel()
	laptop := created(t, "laptop", memory.NewObjects())
	require.NoError(t, laptop.Secrets().Set(t.Context(), "token", "hidden"))
	for class, missing := range map[error][]string{azml.ErrUnsupported: {"token"}, azml.ErrDenied: {}} {
		cloud, err := workspace.Create(t.Context(), workspace.Config{Objects: memory.NewObjects(), Secrets: unlisted{memory.NewSecrets(), class}, Name: "cloud", CacheDir: t.TempDir()})
		require.NoError(t, err)
		closed(t, cloud)
		report := synced(t, cloud, laptop, nil)
		require.Equal(t, missing, report.MissingSecrets)
		if class == azml.ErrUnsupported {
			require.Empty(t, report.SecretsUnknown)
		} else {
			require.Equal(t, "the destination, workspace cloud: "+class.Error(), report.SecretsUnknown)
		}
		require.Empty(t, synced(t, laptop, cloud, nil).MissingSecrets)
	}
}

// TestSameWorkspace is refused: nothing can tell its states apart.
func TestSameWorkspace(t *testing.T) {
	t.Parallel()
	objects := memory.NewObjects()
	a := created(t, "one", objects)
	for _, opts := range []*mirror.Options{nil, {DryRun: true}} {
		_, err := workspace.Sync(t.Context(), a, opened(t, objects, t.TempDir()), opts)
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
	require.ErrorIs(t, workspace.Follow(t.Context(), a, a, nil), azml.ErrInvalid)
}

// TestIncremental: a second sync of many runs reads listings alone.
func TestIncremental(t *testing.T) {
	t.Parallel()
	here, there := memory.NewObjects(), memory.NewObjects()
	laptop := created(t, "laptop", there)
	created(t, "cloud", here)
	e, err := laptop.Experiments().CreateOrUpdate(t.Context(), "churn", nil)
	require.NoError(t, err)
	const runs = 300
	for i := range runs {
		_, err := e.Run(t.Context(), func(_ context.Context, r *run.Run) error { return r.Log("loss", 1.0, nil) }, &experiment.RunOptions{RunID: fmt.Sprintf("r%03d", i)})
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return !holds(t, there, ".seg") }, time.Minute, time.Millisecond)
	counting, reading := faulty.New(here, faulty.Plan{}), faulty.New(there, faulty.Plan{})
	cache := t.TempDir()
	dst, src := opened(t, counting, cache), opened(t, reading, t.TempDir())
	require.Equal(t, runs, clean(t, dst, src).Runs.Created)
	sums := func() faulty.Counts {
		a, b := counting.Counts(), reading.Counts()
		return faulty.Counts{Get: a.Get + b.Get, Stat: a.Stat + b.Stat, List: a.List + b.List, Writes: a.Writes + b.Writes}
	}
	dst = opened(t, counting, cache) // another process
	before := sums()
	report := synced(t, dst, src, nil)
	after := sums()
	require.Equal(t, runs+1, report.Passed)
	require.Equal(t, before.Get, after.Get)
	require.Equal(t, before.Stat, after.Stat)
	require.Equal(t, before.Writes, after.Writes)
	require.Equal(t, 17, after.List-before.List, "eight on each side, and the files of the own datastore")

	tag(t, laptop, "r007", "changed")
	before = sums()
	report = synced(t, dst, src, nil)
	after = sums()
	require.Equal(t, 1, report.Changes())
	require.Less(t, after.Get-before.Get, 20)
}
