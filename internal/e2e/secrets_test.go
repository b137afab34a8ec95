package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/backend/keyvault"
	"github.com/azml-go/azml/backend/keyvault/keyvaulttest"
	"github.com/azml-go/azml/backend/localfs"
	"github.com/azml-go/azml/environment"
	"github.com/azml-go/azml/experiment"
	"github.com/azml-go/azml/internal/testenv"
	"github.com/azml-go/azml/run"
	"github.com/azml-go/azml/workspace"
)

// password has what is written otherwise in JSON and URLs.
const password = `hünter2/"correct horse"+staple`

// TestSecretsOfAScript: a script gets the secrets that it was allowed and no
// other; wherever it says them, nothing that is kept has them.
func TestSecretsOfAScript(t *testing.T) {
	t.Parallel()
	python := testenv.Python(t)
	for name, open := range map[string]func(*testing.T, place, *slog.Logger) *workspace.Workspace{
		"in a folder":    inFolder,
		"in a key vault": inVault,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			said := &sayings{}
			ws := open(t, p, slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug})))
			require.NoError(t, ws.Secrets().Set(t.Context(), "db-password", password))
			require.NoError(t, ws.Secrets().Set(t.Context(), "other", "another secret"))
			source := t.TempDir()
			script, err := os.ReadFile("testdata/secret.py")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(source, "secret.py"), script, 0o600))
			config := experiment.ScriptRunConfig{Source: source, Script: "secret.py", Secrets: []string{"Db-Password"},
				Environment: environment.Spec{Name: "bare", Python: environment.Python{UserManaged: true, InterpreterPath: python}},
				Variables:   map[string]string{"HTTP_PROXY": "http://127.0.0.1:9", "PYTHONIOENCODING": "utf-8"}}
			wait := began(t, &config)
			exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "scripts", nil)
			require.NoError(t, err)
			r, err := exp.Submit(t.Context(), config, nil)
			require.NoError(t, err)
			wait()

			var told struct {
				Digest       string
				PID          int
				Other, Token int
			}
			data, err := os.ReadFile(config.Variables["BEGAN"])
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(data, &told))
			sum := sha256.Sum256([]byte(password))
			require.Equal(t, hex.EncodeToString(sum[:]), told.Digest, "the script has the value")
			require.Equal(t, 404, told.Other, "a secret that was not allowed")
			require.Equal(t, 401, told.Token, "a wrong token")
			noProcessShows(t, told.PID)
			privateOnly(t, p)

			require.NoError(t, os.WriteFile(config.Variables["BEGAN"]+".go", nil, 0o600))
			output := &bytes.Buffer{}
			err = r.Wait(t.Context(), &run.WaitOptions{Output: output})
			require.ErrorIs(t, err, azml.ErrFailed)
			require.NotContains(t, err.Error(), password)
			require.True(t, strings.HasPrefix(output.String(), "whole ****\nhalves ****\nbase64 ****\nurl ****\njson \"****\"\nTraceback"), output.String())
			checkMasked(t, r)
			require.NoError(t, ws.Close(t.Context()))
			for form, text := range forms() {
				t.Log(form)
				nowhere(t, text, p.Dir, p.Cache)
				require.NotContains(t, said.String(), text)
			}
		})
	}
}

// forms are the ways in which the script has said its secret.
func forms() map[string]string {
	quoted, _ := json.Marshal(password)
	return map[string]string{"plain": password, "in a URL": url.PathEscape(password), "in JSON": strings.Trim(string(quoted), `"`), "its end": "horse"}
}

// checkMasked looks at what is kept of the run.
func checkMasked(t *testing.T, r *run.Run) {
	t.Helper()
	d := r.Details()
	require.Equal(t, []string{"Db-Password"}, d.Secrets)
	require.Equal(t, "****", d.Params["pw"])
	require.Equal(t, "****", d.Params["mlflow-pw"])
	require.Equal(t, "x****", d.Tags["pw"], "%v %v %v", d.Tags, d.Params, d.Warnings)
	require.Equal(t, "is ****", d.Tags["note"])
	require.Contains(t, d.Error.Message, "can't sign in with ****")
	require.Contains(t, strings.Join(d.Error.LastLines, "\n"), "halves ****")
	require.Contains(t, strings.Join(d.Warnings, "\n"), "no JSON: ****")
	sums, err := r.Summaries(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 0.5, sums["loss"].Last.Value, "other metrics stay")
	log, err := r.Logs(t.Context(), &run.LogsOptions{Name: "logs/own.txt"})
	require.NoError(t, err)
	text, err := io.ReadAll(log)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	require.Equal(t, "log **** end\n", string(text))
}

// sayings is a log that can be read.
type sayings struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *sayings) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func inFolder(t *testing.T, p place, logger *slog.Logger) *workspace.Workspace {
	opts := p.options()
	opts.Logger = logger
	ws, err := workspace.Open(t.Context(), p.Dir, opts)
	require.NoError(t, err)
	return ws
}

func inVault(t *testing.T, p place, logger *slog.Logger) *workspace.Workspace {
	v := keyvaulttest.Start(nil)
	t.Cleanup(v.Close)
	secrets, err := keyvault.New(v.URL(), v.Credential(), &keyvault.Options{Client: v.ClientOptions()})
	require.NoError(t, err)
	objects, err := localfs.New(p.Dir, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, objects.Close()) })
	ws, err := workspace.Create(t.Context(), workspace.Config{Objects: objects, Secrets: secrets, Name: "vaulted", CacheDir: p.Cache, Logger: logger})
	require.NoError(t, err)
	return ws
}

// noProcessShows checks that the secret is in no process's arguments, and not in
// the script's environment.
func noProcessShows(t *testing.T, pid int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	shown, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	require.NotEmpty(t, shown)
	for _, path := range append(shown, fmt.Sprintf("/proc/%d/environ", pid)) {
		if data, err := os.ReadFile(path); err == nil {
			require.NotContains(t, string(data), password, path)
		}
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	require.NoError(t, err)
	require.Contains(t, string(environ), "AZML_SECRETS_URL=", "it is the script's environment")
}

// privateOnly checks that, while the script runs, the secret is in no file but
// those that it writes itself, which are the user's alone.
func privateOnly(t *testing.T, p place) {
	t.Helper()
	nowhere(t, password, p.Dir)
	found := 0
	for _, path := range filesBelow(t, p.Cache) {
		data, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(data, []byte(password)) && !bytes.Contains(data, []byte("whole ")) {
			continue
		}
		found++
		private := false
		for at := path; at != p.Cache; at = filepath.Dir(at) {
			info, err := os.Stat(at)
			require.NoError(t, err)
			private = private || info.Mode().Perm()&0o077 == 0
		}
		require.True(t, private, path)
	}
	require.Positive(t, found, "the search finds what is there")
}

// TestSecretsOfARunInProcess: what ends up in the record of a Go function's run
// has no secret that it was given.
func TestSecretsOfARunInProcess(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ws := p.open(t)
	ctx := t.Context()
	require.NoError(t, ws.Secrets().Set(ctx, "db-password", password))
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "functions", nil)
	require.NoError(t, err)
	give := func(t *testing.T, r *run.Run) string {
		value, err := r.Secret(ctx, "DB-password")
		require.NoError(t, err)
		require.Equal(t, password, value)
		return value
	}
	t.Run("an error", func(t *testing.T) {
		r, err := exp.Run(ctx, func(_ context.Context, r *run.Run) error {
			return errors.New(strings.Repeat("x", 2990) + give(t, r))
		}, nil)
		require.ErrorContains(t, err, password, "the caller's own error stays")
		require.Equal(t, strings.Repeat("x", 2990)+"****", r.Details().Error.Message, "masked before it is cut")
	})
	t.Run("a panic", func(t *testing.T) {
		var id string
		require.Panics(t, func() {
			_, _ = exp.Run(ctx, func(_ context.Context, r *run.Run) error {
				id = r.ID()
				panic("can't use " + give(t, r))
			}, nil)
		})
		r, err := ws.Runs().Get(ctx, id, nil)
		require.NoError(t, err)
		require.Contains(t, r.Details().Error.Message, "can't use ****")
	})
	t.Run("several, and what is not there", func(t *testing.T) {
		_, err := exp.Run(ctx, func(_ context.Context, r *run.Run) error {
			values, err := r.Secrets(ctx, "db-password", "none")
			require.NoError(t, err)
			require.Equal(t, map[string]string{"db-password": password}, values)
			_, err = r.Secret(ctx, "none")
			require.ErrorIs(t, err, azml.ErrNotFound)
			require.ErrorContains(t, err, "azml secret set none")
			_, err = r.Secret(ctx, "no/name")
			require.ErrorIs(t, err, azml.ErrInvalid)
			values, err = ws.Secrets().GetMany(ctx, "DB-PASSWORD", "none")
			require.NoError(t, err)
			require.Equal(t, map[string]string{"DB-PASSWORD": password}, values)
			_, err = ws.Secrets().GetMany(ctx, "db-password", "")
			require.ErrorIs(t, err, azml.ErrInvalid)
			return nil
		}, nil)
		require.NoError(t, err)
	})
	nowhere(t, password, p.Dir, p.Cache)
}

// TestSubmitChecksSecrets: nothing is made for a script whose secrets are not
// there.
func TestSubmitChecksSecrets(t *testing.T) {
	t.Parallel()
	ws := newPlace(t).open(t)
	exp, err := ws.Experiments().CreateOrUpdate(t.Context(), "scripts", nil)
	require.NoError(t, err)
	for name, want := range map[string]error{"none": azml.ErrNotFound, "no/name": azml.ErrInvalid} {
		config := shell(t, "true")
		config.Secrets = []string{name}
		_, err = exp.Submit(t.Context(), config, nil)
		require.ErrorIs(t, err, want)
		require.ErrorContains(t, err, name)
	}
	for _, err := range ws.Runs().List(t.Context(), nil) {
		require.NoError(t, err)
		t.Fatal("a run was made")
	}
}

// TestKilledWithSecrets: whoever ends a run whose process was killed saves its
// last output without its secrets, and without losing or doubling any.
func TestKilledWithSecrets(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]bool{"masked": false, "the secret is gone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			ws := p.open(t)
			require.NoError(t, ws.Secrets().Set(t.Context(), "db-password", password))
			acks := filepath.Join(t.TempDir(), "acks")
			w := start(t, errand{Name: "secret", Place: p, Run: "killed", Dir: acks})
			require.Eventually(t, func() bool {
				data, _ := os.ReadFile(acks)
				stored, err := filepath.Glob(filepath.Join(p.Dir, "runs", "killed", "logs-*", "user_logs", "std_log.txt"))
				require.NoError(t, err)
				return len(stored) == 1 && bytes.Count(data, []byte("\n")) > 30
			}, soon, 10*time.Millisecond)
			require.NoError(t, w.cmd.Process.Kill())
			_ = w.cmd.Wait()
			if forget {
				require.NoError(t, ws.Secrets().Delete(t.Context(), "db-password"))
			}
			r, err := ws.Runs().Get(t.Context(), "killed", nil)
			require.NoError(t, err)
			require.Equal(t, run.StatusFailed, r.Status())
			nowhere(t, password, p.Dir, p.Cache)
			log, err := r.Logs(t.Context(), nil)
			require.NoError(t, err)
			text, err := io.ReadAll(log)
			require.NoError(t, err)
			require.NoError(t, log.Close())
			if forget {
				require.Contains(t, strings.Join(r.Details().Warnings, "\n"), "left out")
				return
			}
			acked, err := os.ReadFile(acks)
			require.NoError(t, err)
			var want strings.Builder
			for i := range bytes.Count(acked, []byte("\n")) {
				fmt.Fprintf(&want, "%d ****\n", i)
			}
			got := string(text)
			require.True(t, strings.HasPrefix(got, want.String()), "the log begins with %q", got[:min(200, len(got))])
			require.Less(t, len(got)-want.Len(), 40, "and has little more than what was acknowledged")
		})
	}
}

// driveWithSecret drives a script that says its secret, in two writes a line,
// again and again, and notes each line.
func driveWithSecret(ctx context.Context, ws *workspace.Workspace, e errand) error {
	exp, err := ws.Experiments().CreateOrUpdate(ctx, "scripts", nil)
	if err != nil {
		return err
	}
	source, err := os.MkdirTemp(filepath.Dir(e.Dir), "source")
	if err != nil {
		return err
	}
	text, err := json.Marshal(errand{Name: "teller", Dir: e.Dir})
	if err != nil {
		return err
	}
	r, err := exp.Submit(ctx, experiment.ScriptRunConfig{Source: source, Command: []string{os.Args[0]}, Secrets: []string{"db-password"},
		Variables: map[string]string{errandVariable: string(text)}}, &experiment.SubmitOptions{RunID: e.Run})
	if err != nil {
		return err
	}
	return r.Wait(ctx, nil)
}

// tellSecret is the script of driveWithSecret.
func tellSecret(e errand) error {
	acks, err := os.Create(e.Dir)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		fmt.Printf("%d %s", i, password[:10])
		time.Sleep(5 * time.Millisecond) // so that the halves come apart
		fmt.Println(password[10:])
		if _, err := fmt.Fprintln(acks, i); err != nil {
			return err
		}
	}
}
