package endpoint_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/azml-go/azml"
	"github.com/azml-go/azml/endpoint"
)

// text is a function that answers a text.
func text(answer string) endpoint.Handler {
	return func(context.Context, json.RawMessage) (any, error) { return answer, nil }
}

// answers counts who answers some requests.
func answers(t *testing.T, url, key string, n int) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range n {
		code, body, header := ask(t, "POST", url+"/score", key, "1")
		require.Equal(t, 200, code, body)
		require.Equal(t, `"`+header.Get("azureml-model-deployment")+`"`, body)
		got[header.Get("azureml-model-deployment")]++
	}
	return got
}

// eventually waits until a condition holds.
func eventually(t *testing.T, holds func() bool, what string) {
	t.Helper()
	require.Eventually(t, holds, 20*time.Second, 10*time.Millisecond, what)
}

// TestTwoDeploymentsServedByTwo: two deployments behind one URL, served from the
// records by two handles, of which one learns of each change by itself.
func TestTwoDeploymentsServedByTwo(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws, other := reopen(t, dir), reopen(t, dir)
	blue := deploy(t, ws, "svc", endpoint.Config{Handler: text("blue")}, &endpoint.DeployOptions{Deployment: "blue", PrimaryKey: "test-key"})
	ep := deploy(t, ws, "svc", endpoint.Config{Handler: text("green")}, &endpoint.DeployOptions{Deployment: "green"})
	require.Equal(t, blue.URL(), ep.URL())
	require.Equal(t, map[string]int{"blue": 100}, answers(t, ep.URL(), "test-key", 100), "what is new has no traffic")
	code, body, _ := ask(t, "POST", ep.ScoringURI(), "test-key", "1", "azureml-model-deployment", "green")
	require.Equal(t, `200 "green"`, fmt.Sprint(code, " ", body))

	second, err := other.Endpoints().Serve(ctx, "svc", &endpoint.ServeOptions{Handlers: map[string]endpoint.Handler{"blue": text("blue"), "green": text("green")}})
	require.NoError(t, err)
	require.NotEqual(t, ep.URL(), second.URL())
	require.Len(t, second.Details().Hosts, 2)
	remote, err := reopen(t, dir).Endpoints().Get(ctx, "svc", nil)
	require.NoError(t, err)
	require.NoError(t, remote.SetTraffic(ctx, map[string]int{"blue": 70, "green": 30}, nil))
	require.Equal(t, 3, remote.Details().Current.Number, "what needs no start is current at once")
	for _, url := range []string{ep.URL(), second.URL()} {
		eventually(t, func() bool { return answers(t, url, "test-key", 10)["green"] > 0 }, "both follow")
		got := answers(t, url, "test-key", 200)
		require.Less(t, got["blue"], 200)
		require.InDelta(t, 60, got["green"], 30)
	}
	for name, try := range map[string]struct {
		traffic map[string]int
		class   error
		says    string
	}{"unknown": {map[string]int{"red": 100}, azml.ErrNotFound, "red"},
		"too little": {map[string]int{"blue": 50}, azml.ErrInvalid, "50 % together (blue 50 %), and must be 100: say which deployment gets the other 50 %"},
		"too much":   {map[string]int{"blue": 50, "green": 70}, azml.ErrInvalid, "120 % together (blue 50 %, green 70 %)"},
		"negative":   {map[string]int{"green": -10}, azml.ErrInvalid, `-10 % of the traffic for deployment "green": use 0 to 100`},
		"large":      {map[string]int{"green": 101}, azml.ErrInvalid, `101 % of the traffic for deployment "green"`}} {
		err := remote.SetTraffic(ctx, try.traffic, nil)
		require.ErrorIs(t, err, try.class, name)
		require.ErrorContains(t, err, try.says, name)
	}
	require.ErrorIs(t, remote.RemoveDeployment(ctx, "green"), azml.ErrConflict)
	require.NoError(t, remote.SetTraffic(ctx, map[string]int{"green": 100}, &endpoint.TrafficOptions{Mirror: map[string]int{"blue": 100}}))
	eventually(t, func() bool { return answers(t, second.URL(), "test-key", 5)["green"] == 5 }, "all traffic is switched")
	require.NoError(t, remote.SetTraffic(ctx, nil, &endpoint.TrafficOptions{Mirror: map[string]int{}}))
	require.NoError(t, remote.Rollback(ctx, nil), "to the revision with the mirror")
	require.NoError(t, remote.Rollback(ctx, nil), "to the one before it")
	require.Equal(t, 70, remote.Details().Current.Deployments[0].Traffic)
	require.NoError(t, remote.Rollback(ctx, &endpoint.RollbackOptions{To: 1}))
	require.Len(t, remote.Details().Current.Deployments, 1)
	require.ErrorIs(t, remote.Rollback(ctx, &endpoint.RollbackOptions{To: 77}), azml.ErrNotFound)
	eventually(t, func() bool {
		code, _, _ := ask(t, "POST", ep.ScoringURI(), "test-key", "1", "azureml-model-deployment", "green")
		return code == 404
	}, "it has gone")
	require.NoError(t, remote.Stop(ctx))
	require.True(t, refuses(ep.URL()) && refuses(second.URL()), "a stop ends all")
	require.Equal(t, endpoint.StateStopped, remote.State())
	require.Equal(t, []int{7, 6, 5, 4, 3, 2, 1}, numbers(remote.Revisions()))
}

func numbers(revisions []endpoint.Revision) (all []int) {
	for _, r := range revisions {
		all = append(all, r.Number)
	}
	return all
}

func TestShareOfANewDeployment(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	share := func(name string, traffic int) map[string]int {
		ep, err := ws.Endpoints().Deploy(ctx, "svc", endpoint.Config{Handler: text(name)}, &endpoint.DeployOptions{Deployment: name, Traffic: &traffic, Overwrite: true})
		require.NoError(t, err)
		got := map[string]int{}
		for _, d := range ep.Details().Current.Deployments {
			got[d.Name] = d.Traffic
		}
		return got
	}
	require.Equal(t, map[string]int{"one": 100}, share("one", 100))
	require.Equal(t, map[string]int{"one": 67, "two": 33}, share("two", 33))
	require.Equal(t, map[string]int{"one": 61, "two": 29, "three": 10}, share("three", 10))
	require.Equal(t, map[string]int{"one": 0, "two": 0, "three": 100}, share("three", 100))
	require.Equal(t, map[string]int{"one": 0, "two": 0, "three": 100}, share("two", 0))
}

// TestWarnings: an endpoint that is served says which requests it refuses for want of
// deployments or of traffic.
func TestWarnings(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	ep, err := ws.Endpoints().Create(ctx, "svc", nil)
	require.NoError(t, err)
	require.Empty(t, ep.Details().Warning, "it is Stopped")
	ep, err = ws.Endpoints().Serve(ctx, "svc", nil)
	require.NoError(t, err)
	require.Equal(t, endpoint.StateHealthy, ep.State())
	require.Contains(t, ep.Details().Warning, "nothing is deployed")
	ep = deploy(t, ws, "svc", endpoint.Config{}, nil)
	require.Empty(t, ep.Details().Warning)
	require.NoError(t, ep.SetTraffic(ctx, map[string]int{"main": 0}, nil))
	require.Contains(t, ep.Details().Warning, "no deployment has traffic")
	require.NoError(t, ep.RemoveDeployment(ctx, "main"))
	require.Contains(t, ep.Details().Warning, "nothing is deployed")
}

// TestDefaultDeployment gets what is left of the traffic.
func TestDefaultDeployment(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := reopen(t, t.TempDir())
	for _, name := range []string{"middle", "last", "first"} {
		deploy(t, ws, "svc", endpoint.Config{Handler: text(name)}, &endpoint.DeployOptions{Deployment: name, Overwrite: true})
	}
	ep, err := ws.Endpoints().Get(ctx, "svc", nil)
	require.NoError(t, err)
	requireDefault := func(name string, traffic map[string]int) {
		t.Helper()
		now := ep.Details().Current
		require.Equal(t, traffic, shown(now))
		for _, d := range now.Deployments {
			require.Equal(t, d.Name == name, d.Default, d.Name)
		}
	}
	requireDefault("middle", map[string]int{"first": 0, "last": 0, "middle": 100})
	require.NoError(t, ep.SetTraffic(ctx, map[string]int{"first": 20, "last": 5}, nil))
	requireDefault("middle", map[string]int{"first": 20, "last": 5, "middle": 75})
	require.ErrorIs(t, ep.SetTraffic(ctx, map[string]int{"first": 20, "middle": 5}, nil), azml.ErrInvalid, "it is named")
	require.ErrorIs(t, ep.SetTraffic(ctx, nil, &endpoint.TrafficOptions{Default: "none"}), azml.ErrNotFound)
	require.NoError(t, ep.SetTraffic(ctx, map[string]int{"last": 10}, &endpoint.TrafficOptions{Default: "first"}))
	requireDefault("first", map[string]int{"first": 90, "last": 10, "middle": 0})
	require.NoError(t, ep.SetTraffic(ctx, map[string]int{"last": 0}, nil))
	requireDefault("first", map[string]int{"first": 0, "last": 0, "middle": 0})
	require.NoError(t, ep.RemoveDeployment(ctx, "first"))
	requireDefault("middle", map[string]int{"last": 0, "middle": 0})
	require.NoError(t, ep.Rollback(ctx, &endpoint.RollbackOptions{To: 4}))
	require.NoError(t, ep.AwaitDeployed(ctx, nil))
	requireDefault("middle", map[string]int{"first": 20, "last": 5, "middle": 75})
}

// TestChangesUnderLoad: deployments are replaced, traffic is switched and rolled
// back by another handle, and no request is lost at either of two processes.
func TestChangesUnderLoad(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws, other := reopen(t, dir), reopen(t, dir)
	pythonScript := func(name string) endpoint.Config {
		return endpoint.Config{Script: script(t, "import time\ndef init(): pass\ndef run(data):\n    time.sleep(0.002)\n    return '"+name+"'\n"), Replicas: 2,
			MaxQueueWait: 20 * time.Second}
	}
	ep := deploy(t, ws, "svc", pythonScript("blue"), &endpoint.DeployOptions{Deployment: "blue", PrimaryKey: "test-key"})
	second, err := other.Endpoints().Serve(ctx, "svc", nil)
	require.NoError(t, err)
	var stop atomic.Bool
	var answered atomic.Int64
	var clients sync.WaitGroup
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	client := &http.Client{Transport: transport}
	for n := range 6 {
		url := []string{ep.URL(), second.URL()}[n%2]
		clients.Go(func() {
			for !stop.Load() {
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/score", strings.NewReader("1"))
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set("Authorization", "Bearer test-key")
				response, err := client.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("status %d", response.StatusCode)
				}
				answered.Add(1)
			}
		})
	}
	remote, err := reopen(t, dir).Endpoints().Propose(ctx, "svc", pythonScript("green"), &endpoint.DeployOptions{Deployment: "green", Traffic: new(50)})
	require.NoError(t, err)
	var phases []string
	require.NoError(t, remote.AwaitDeployed(ctx, &endpoint.AwaitOptions{Progress: func(phase string) { phases = append(phases, phase) }}))
	require.NotEmpty(t, phases)
	for _, change := range []func() error{
		func() error { return remote.SetTraffic(ctx, map[string]int{"green": 100}, nil) },
		func() error { return remote.Rollback(ctx, nil) },
		func() error {
			_, err := ws.Endpoints().Deploy(ctx, "svc", pythonScript("green"), &endpoint.DeployOptions{Deployment: "green", Overwrite: true})
			return err
		},
		func() error { return remote.Rollback(ctx, &endpoint.RollbackOptions{To: 1}) },
	} {
		require.NoError(t, change())
		require.NoError(t, remote.AwaitDeployed(ctx, nil))
		before := answered.Load()
		eventually(t, func() bool {
			if err := remote.Refresh(ctx); err != nil {
				return false
			}
			d := remote.Details()
			for _, host := range d.Hosts {
				if host.Revision != d.Current.Number {
					return false
				}
			}
			return answered.Load() > before+50
		}, "both serve the revision")
	}
	stop.Store(true)
	clients.Wait()
	transport.CloseIdleConnections()
	require.Greater(t, answered.Load(), int64(200))
}

// TestPreflight: what does not start, or does not answer its sample, gets no
// traffic, and what was served goes on.
func TestPreflight(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	ws := reopen(t, dir)
	ep := deploy(t, ws, "svc", endpoint.Config{Script: script(t, "def init(): pass\ndef run(data): return 'main'\n"), Sample: []byte("1")},
		&endpoint.DeployOptions{PrimaryKey: "test-key"})
	for name, c := range map[string]struct {
		script, sample string
		says           []string
		init, scoring  time.Duration
		memory         int64
	}{
		"init":   {script: "def init():\n    print('last words')\n    raise ValueError('no weights')\ndef run(data): return 1\n", says: []string{"phase init", "exit code 3", "ValueError: no weights", "last words"}},
		"import": {script: "import not_there\ndef init(): pass\ndef run(data): return 1\n", says: []string{"phase import", "not_there"}},
		"exit":   {script: "import os\ndef init():\n    print('bye')\n    os._exit(7)\ndef run(data): return 1\n", says: []string{"phase init", "exit code 7", "bye"}},
		"sample": {script: "def init(): print('early')\ndef run(data): raise KeyError('column')\n", sample: "1", says: []string{"phase sample", "answered with 500", "KeyError: 'column'"}},
		"ends":   {script: "import os\ndef init(): pass\ndef run(data):\n    print('bye')\n    os._exit(9)\n", sample: "1", says: []string{"phase sample", "exit status 9", "| bye"}},
		"waits": {script: "import time\ndef init(): pass\ndef run(data):\n    print('waiting')\n    time.sleep(600)\n", sample: "1", scoring: 2 * time.Second,
			says: []string{"phase sample", "no answer after 2s", "| waiting"}},
		"hangs": {script: "import time\ndef init(): time.sleep(600)\ndef run(data): return 1\n", init: 2 * time.Second,
			says: []string{"not ready after 2s"}},
		"memory": {script: "def init(): bytearray(1 << 30)\ndef run(data): return 1\n", memory: 256 << 20, says: []string{"phase init", "out of memory"}},
	} {
		config := endpoint.Config{Script: script(t, c.script), Sample: []byte(c.sample), InitTimeout: c.init, ScoringTimeout: c.scoring, MaxMemory: c.memory}
		if c.sample == "" {
			config.Sample = nil
		}
		proposed, err := reopen(t, dir).Endpoints().Propose(ctx, "svc", config, &endpoint.DeployOptions{Overwrite: true})
		require.NoError(t, err, name)
		began := time.Now()
		err = proposed.AwaitDeployed(ctx, nil)
		require.Less(t, time.Since(began), time.Minute)
		require.ErrorIs(t, err, azml.ErrFailed, name)
		for _, text := range c.says {
			require.ErrorContains(t, err, text, name)
		}
		require.NotContains(t, err.Error(), "early", "what was said before the sample is in the log")
		require.Equal(t, endpoint.StateHealthy, proposed.State(), name)
		require.Contains(t, proposed.Details().Error, c.says[0], name)
		require.Equal(t, map[string]int{"main": 3}, answers(t, ep.URL(), "test-key", 3), name)
	}
	require.NoError(t, ep.Refresh(ctx))
	require.Equal(t, 1, ep.Details().Current.Number)
}

// shown gives the traffic of a revision.
func shown(r *endpoint.Revision) map[string]int {
	got := map[string]int{}
	for _, d := range r.Deployments {
		got[d.Name] = d.Traffic
	}
	return got
}

const hanging = "import time\ndef init(): time.sleep(600)\ndef run(data): return 1\n"

// TestReplacedProposal: what is being tried goes on when other things are changed, and
// who waits for a deployment learns that another one has taken its place.
func TestReplacedProposal(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	slow := func() *endpoint.Endpoint {
		proposed, err := ws.Endpoints().Propose(ctx, "svc", endpoint.Config{Script: script(t, hanging)}, &endpoint.DeployOptions{Deployment: "slow", Overwrite: true})
		require.NoError(t, err)
		return proposed
	}
	ep := deploy(t, ws, "svc", endpoint.Config{}, nil)
	proposed := slow()
	waited := make(chan error, 1)
	go func() { waited <- proposed.AwaitDeployed(ctx, nil) }()
	eventually(t, func() bool {
		return ep.Refresh(ctx) == nil && strings.Contains(ep.Details().Hosts[0].Phase, "starting deployment slow")
	}, "it is being started")
	require.ErrorIs(t, ep.Rollback(ctx, nil), azml.ErrNotFound, "there is no earlier one")
	require.NoError(t, ep.SetTraffic(ctx, nil, &endpoint.TrafficOptions{Mirror: map[string]int{}}))
	require.Equal(t, 2, ep.Details().Current.Number, "what needs no start is not kept waiting")
	require.NotNil(t, ep.Details().Candidate)
	another := slow()
	require.ErrorIs(t, <-waited, azml.ErrConflict)
	require.NoError(t, another.Withdraw(ctx))
	require.NoError(t, another.Withdraw(ctx), "it is done")
	require.ErrorIs(t, another.AwaitDeployed(ctx, nil), azml.ErrConflict)
	require.Nil(t, another.Details().Candidate)
	require.NoError(t, ep.Withdraw(ctx), "what is served is not withdrawn")
	require.NoError(t, ep.Refresh(ctx))
	require.Equal(t, map[string]int{"main": 100}, shown(ep.Details().Current))
}

// TestFailureIsItsOwn: of what is tried together, what fails takes nothing with it, and
// each one who waits learns how its own has ended.
func TestFailureIsItsOwn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	ep := deploy(t, ws, "svc", endpoint.Config{}, nil)
	deploy(t, ws, "svc", endpoint.Config{}, &endpoint.DeployOptions{Deployment: "blue"})
	propose := func(name, source string, share int) *endpoint.Endpoint {
		proposed, err := ws.Endpoints().Propose(ctx, "svc", endpoint.Config{Script: script(t, source)}, &endpoint.DeployOptions{Deployment: name, Traffic: &share, Overwrite: true})
		require.NoError(t, err)
		return proposed
	}
	gate := filepath.Join(t.TempDir(), "open")
	good := propose("good", "import os, time\ndef init():\n    while not os.path.exists('"+gate+"'): time.sleep(0.01)\ndef run(data): return 1\n", 10)
	bad := propose("bad", "def init(): raise ValueError('no weights')\ndef run(data): return 1\n", 20)
	worse := propose("blue", "def init(): raise ValueError('worse')\ndef run(data): return 1\n", 0)
	require.NoError(t, ep.SetTraffic(ctx, map[string]int{"main": 10, "blue": 90}, nil))
	require.Equal(t, map[string]int{"main": 10, "blue": 90}, shown(ep.Details().Current), "who may have it has it")
	for says, failed := range map[string]*endpoint.Endpoint{"no weights": bad, "worse": worse} {
		err := failed.AwaitDeployed(ctx, nil)
		require.ErrorIs(t, err, azml.ErrFailed)
		require.ErrorContains(t, err, says)
	}
	file(t, filepath.Dir(gate), "open", "")
	require.NoError(t, good.AwaitDeployed(ctx, nil))
	require.Equal(t, map[string]int{"main": 10, "blue": 90, "good": 0}, shown(good.Details().Current))
	require.Nil(t, good.Details().Candidate)
	for _, d := range good.Details().Current.Deployments {
		require.True(t, d.Name == "good" || d.Kind == "handler", "%s is what it was", d.Name)
	}
}

// TestDeployAtOnce: what several deploy at the same time is served, all of it.
func TestDeployAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	const n = 4
	deployed := make(chan error, n)
	for i := range n {
		go func() {
			_, err := ws.Endpoints().Deploy(ctx, "svc", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{Deployment: fmt.Sprint("dep-", i)})
			deployed <- err
		}()
	}
	for range n {
		require.NoError(t, <-deployed)
	}
	ep, err := ws.Endpoints().Get(ctx, "svc", nil)
	require.NoError(t, err)
	require.Len(t, ep.Details().Current.Deployments, n)
	require.Nil(t, ep.Details().Candidate)
}

// TestSameDeploymentAtOnce: of two who deploy the same, one is told so.
func TestSameDeploymentAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	propose := func(progress func(string)) error {
		_, err := ws.Endpoints().Propose(ctx, "svc", endpoint.Config{Handler: echo}, &endpoint.DeployOptions{Progress: progress})
		return err
	}
	err := propose(func(string) { require.NoError(t, propose(nil)) })
	require.ErrorIs(t, err, azml.ErrExists)
	require.NoError(t, propose(nil), "nobody serves it")
}

func TestTokens(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	ws := open(t)
	ep := deploy(t, ws, "svc", endpoint.Config{}, &endpoint.DeployOptions{PrimaryKey: "test-key", Settings: &endpoint.Settings{Auth: endpoint.AuthToken}})
	token, err := ep.Token(ctx, &endpoint.TokenOptions{Life: 2 * time.Second})
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", token, token, token), token.Token)
	accepted := func(secret string) bool {
		code, _, _ := ask(t, "POST", ep.ScoringURI(), secret, "1")
		return code == 200
	}
	require.True(t, accepted(token.Token))
	require.False(t, accepted("test-key"), "keys are no tokens")
	require.False(t, accepted(token.Token+"0"))
	for _, forged := range []string{"aet_", "aet_1_", "aet_99999999999_00", strings.Replace(token.Token, "aet_", "aet_0", 1)} {
		require.False(t, accepted(forged), forged)
	}
	_, err = ep.Invoke(ctx, []byte("1"), nil)
	require.NoError(t, err)
	eventually(t, func() bool { return !accepted(token.Token) }, "it ends")
	require.False(t, time.Now().Before(token.ExpiryOn))
	long, err := ep.Token(ctx, nil)
	require.NoError(t, err)
	require.True(t, accepted(long.Token))
	_, err = ep.RegenerateKey(ctx, endpoint.PrimaryKey, "")
	require.NoError(t, err)
	require.False(t, accepted(long.Token), "it ends with its key")
	for _, life := range []time.Duration{time.Millisecond, 91 * 24 * time.Hour} {
		_, err = ep.Token(ctx, &endpoint.TokenOptions{Life: life})
		require.ErrorIs(t, err, azml.ErrInvalid)
	}
	require.NoError(t, ep.Update(ctx, endpoint.Update{Auth: endpoint.AuthNone, CORSOrigins: []string{"https://example.org"}, MaxBody: 10}))
	eventually(t, func() bool { return accepted("") }, "settings are followed")
	code, _, header := ask(t, "POST", ep.ScoringURI(), "", strings.Repeat(" ", 20)+"1", "Origin", "https://example.org")
	require.Equal(t, 413, code)
	require.Equal(t, "https://example.org", header.Get("Access-Control-Allow-Origin"))
	_, err = ep.Token(ctx, nil)
	require.ErrorIs(t, err, azml.ErrInvalid)
}
